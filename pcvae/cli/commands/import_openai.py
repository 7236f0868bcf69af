"""Turns published weights of openai/vdvae into a run directory.

Usage:
  pcvae-import-openai --weights=cifar10-seed0-iter-900000-model-ema.th --preset=cifar10 \\
      --output=runs/cifar10
  pcvae-import-openai --weights=FILE.npz --gin_file=models/vdvae_ffhq256.gin --data=folder:PATH \\
      --output=runs/ffhq256

The other commands then take it as --run_dir. A .th file is read by PyTorch's loader of nothing but
weights (pip install 'pcvae[import]'); an .npz holds the same tensors by name and needs no PyTorch.
"""

from absl import flags

from pcvae import gin_utils
from pcvae.cli import command, shared_flags
from pcvae.errors import UserError
from pcvae.files import check_new_folder

# name -> the gin files of model and data; FFHQ-256 comes as a folder that only its owner knows.
PRESETS = {
    "cifar10": ["models/vdvae_cifar10.gin", "datasets/cifar10.gin"],
    "imagenet32": ["models/vdvae_imagenet32.gin", "datasets/imagenet32.gin"],
    "imagenet64": ["models/vdvae_imagenet64.gin", "datasets/imagenet64.gin"],
    "ffhq256": ["models/vdvae_ffhq256.gin"],
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-import-openai."""
    text = "The checkpoint: a .th file of openai/vdvae, or its tensors by name in an .npz."
    flags.DEFINE_string("weights", None, text, flag_values=values)
    text = "A published model: its gin file and its data."
    flags.DEFINE_enum("preset", None, list(PRESETS), text, flag_values=values)
    shared_flags.define_gin_flags(values)
    text = "The images that evaluations take: folder:PATH, arrays:FILE, tfds:NAME, ..."
    shared_flags.define(values, "data", text)
    text = "The run directory that is written, new or empty."
    shared_flags.define(values, "output", text)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, reads the configuration and imports."""
    for name in ("weights", "output"):
        if not values[name].value:
            raise UserError(f"--{name} is missing: {values[name].help}")
    if bool(values.preset) == bool(values.gin_file):
        raise UserError(f"expected either --preset, of {', '.join(PRESETS)}, or --gin_file")
    check_new_folder(values.output)
    gin_files = PRESETS[values.preset] if values.preset else values.gin_file
    runs = command.import_runs()
    configuration = gin_utils.parse(
        [runs.train], gin_files, values.gin_bindings, values.gin_search_path
    )
    wanted = ["model_fn"] if values.data else ["model_fn", "dataset"]
    bound = configuration.arguments(runs.train, wanted)
    if "model_fn" not in bound:
        raise UserError(f"{gin_files[-1]} does not bind runs.train.model_fn")
    runs.import_openai(
        weights=values.weights,
        output=values.output,
        model_fn=bound["model_fn"],
        dataset=bound.get("dataset"),
        spec=values.data,
    )
    print(f"wrote {values.output}")


main = command.Command("import_openai", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
