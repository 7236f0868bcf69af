"""The flags that several commands have, each declared once."""

from typing import Any

from absl import flags

SPLITS = ["train", "validation", "test"]
IMAGES = "A folder of pictures, one picture, or a file of arrays (.npy, .npz)"
SEED_OF_PICTURES = "Seed of the latents' noise, and of the choice of images."
OTHER_IMAGES = "Other images than those of the run: synthetic, folder:PATH, arrays:FILE, ..."
# name -> (how absl defines it, its arguments unless a command gives others)
_SHARED = {
    "run_dir": (flags.DEFINE_string, {"help": "The run directory of pcvae-train."}),
    "data": (
        flags.DEFINE_string,
        {"help": "The images: synthetic, folder:PATH, arrays:FILE, tfds:NAME or lsun:PATH."},
    ),
    "images": (flags.DEFINE_string, {"help": f"{IMAGES}."}),
    "num_images": (
        flags.DEFINE_integer,
        {"lower_bound": 1, "help": "How many images, the first ones of the split (default: all)."},
    ),
    "split": (
        flags.DEFINE_enum,
        {"default": "test", "enum_values": SPLITS, "help": "Which images of the dataset."},
    ),
    "num_samples": (flags.DEFINE_integer, {"lower_bound": 1, "help": "How many samples."}),
    "num_levels": (flags.DEFINE_integer, {"lower_bound": 0}),
    "num_steps": (flags.DEFINE_integer, {"default": 7, "lower_bound": 2, "upper_bound": 16}),
    "seed": (flags.DEFINE_integer, {"default": 0, "help": "Seed of the latents' noise."}),
    "temperature": (flags.DEFINE_float, {"default": 0.0, "lower_bound": 0.0}),
    "pixels": (flags.DEFINE_enum, {"enum_values": ["sample", "mean"]}),
    "extractor": (flags.DEFINE_string, {}),
    "batch_size": (
        flags.DEFINE_integer,
        {"lower_bound": 1, "help": "Images at a time (default: as in training)."},
    ),
    "no_fallback": (
        flags.DEFINE_bool,
        {
            "default": False,
            "help": "Refuse where the newest checkpoint is damaged or files of it are missing, "
            "instead of taking the one before with a warning.",
        },
    ),
    "refit_steps": (flags.DEFINE_integer, {}),
    "output": (flags.DEFINE_string, {"help": "FILE.npz, replaced if it is there."}),
    "gin_file": (
        flags.DEFINE_multi_string,
        {
            "default": [],
            "help": "A gin file: a path, or a file that comes with pcvae, such as "
            "experiments/quickstart.gin. May repeat; a later file overrides an earlier one.",
        },
    ),
    "gin_bindings": (
        flags.DEFINE_multi_string,
        {
            "default": [],
            "help": "A gin statement, 'NAME = VALUE'; --gin.NAME=VALUE is the short form. May "
            "repeat.",
        },
    ),
    "gin_search_path": (
        flags.DEFINE_multi_string,
        {
            "default": [],
            "help": "A further folder in which gin files and their includes are looked up. May "
            "repeat.",
        },
    ),
}


def define(values: flags.FlagValues, name: str, help: str | None = None, **own: Any) -> None:
    """Defines a shared flag on a command's flags.

    Args:
        values: the flags of the command.
        name: the flag's name.
        help: what it means to this command, where that differs.
        **own: the default and the bounds of this command, where they differ.
    """
    define_by, arguments = _SHARED[name]
    if help is not None:
        own["help"] = help
    define_by(name, flag_values=values, **{"default": None, **arguments, **own})


def define_run(values: flags.FlagValues) -> None:
    """Defines the flags of a command that loads the model of a run."""
    for name in ("run_dir", "no_fallback"):
        define(values, name)


def fallback_argument(values: flags.FlagValues) -> dict[str, bool]:
    """Returns the argument ``fallback`` of a root function that --no_fallback sets, or {}."""
    return {"fallback": False} if values.no_fallback else {}


def define_gin_flags(values: flags.FlagValues) -> None:
    """Defines the flags of a command that reads a gin configuration."""
    for name in ("gin_file", "gin_bindings", "gin_search_path"):
        define(values, name)


def define_level_temperatures(values: flags.FlagValues, default: str | None, help: str) -> None:
    """Defines --temperature of a command that takes one for each level, too."""
    flags.DEFINE_string("temperature", default, help, flag_values=values)
