"""Evaluates a run on every image of a split: bits per dimension, rates, distortion; samples.

Usage:
  pcvae-evaluate --run_dir=runs/quickstart
  pcvae-evaluate --run_dir=runs/quickstart --split=train --num_images=1000
  pcvae-evaluate --run_dir=runs/quickstart --data=folder:PATH --output=photos.json
  pcvae-evaluate --run_dir=runs/quickstart --importance_samples=100 --num_images=500
  pcvae-evaluate --run_dir=runs/quickstart --frechet --num_samples=10000 --temperature=0.9
  pcvae-evaluate --run_dir=runs/quickstart --frechet --decompose
  pcvae-evaluate --run_dir=runs/quickstart --perceptual=ssim,lpips --lpips_weights=lpips_alex.npz
  pcvae-evaluate --run_dir=runs/cifar10 --frechet --extractor=classify_image_graph_def.pb

Replaces results/evaluation.json in the run directory, the run's result on the whole test split of
its own data. A quick look at other images (--split, --num_images, --data) goes to a file that names
them, such as results/evaluation_train_1000_images.json; --output writes elsewhere.
"""

from typing import Any

from absl import flags

from pcvae.checks import check_choice
from pcvae.cli import command, early, parsing, shared_flags
from pcvae.cli.commands.sample import parse_temperature
from pcvae.errors import UserError

DEFAULT_METRICS = ["ssim", "ms_ssim"]
LPIPS = "lpips"
RESIZES = ["bilinear", "bicubic", "lanczos3", "area"]
# flag -> argument of `runs.frechet_record`
FRECHET_FLAGS = {
    "extractor": "extractor",
    "extractor_resize": "resize",
    "extractor_sha256": "sha256",
    "num_samples": "num_samples",
    "temperature": "temperature",
    "pixels": "pixels",
    "frechet_split": "split",
    "decompose": "decompose",
    "decompose_levels": "decompose",
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-evaluate."""
    shared_flags.define_run(values)
    shared_flags.define(values, "split")
    shared_flags.define(values, "num_images")
    shared_flags.define(values, "seed")
    shared_flags.define(values, "data", shared_flags.OTHER_IMAGES)
    shared_flags.define(values, "batch_size")
    text = (
        "Compute the importance-weighted bound with so many posterior samples per image, too; it "
        "takes as many times as long (default: none)."
    )
    flags.DEFINE_integer("importance_samples", None, text, lower_bound=1, flag_values=values)
    text = "Measure samples against images, too: Frechet distance and kernel distance."
    flags.DEFINE_bool("frechet", False, text, flag_values=values)
    text = (
        "Where their features come from: synthetic or structure, networks that are trained on "
        "drawn pictures when they are not there yet, the latter blind to texture; a .keras file, a "
        "SavedModel, or the frozen Inception graph of "
        "2015 (.pb), by path or, with --extractor_sha256, by address https://... ."
    )
    shared_flags.define(values, "extractor", f"{text} Default: synthetic.")
    text = "How images get the size of the extractor: bilinear, bicubic, lanczos3 or area."
    flags.DEFINE_enum("extractor_resize", None, RESIZES, text, flag_values=values)
    text = (
        "The SHA-256 that the extractor must have, of its file or as in a protocol; nothing is "
        "fetched without it."
    )
    flags.DEFINE_string("extractor_sha256", None, text, flag_values=values)
    text = "How many samples (default: as many as images, at most 50,000; no more than conditions)."
    shared_flags.define(values, "num_samples", text, lower_bound=2)
    text = "Temperature of the samples: a number, or one for each level between commas (default: 1)"
    shared_flags.define_level_temperatures(values, None, text)
    text = "Whether samples are drawn from the head or its mean is taken (default: sample)."
    shared_flags.define(values, "pixels", text)
    text = "Which images samples are measured against (default: train)."
    splits = ["train", "validation", "test"]
    flags.DEFINE_enum("frechet_split", None, splits, text, flag_values=values)
    text = (
        "Decompose the distance, too, as it is and after 2x2 averaging: what the prior of the "
        "first levels costs, and what follows them."
    )
    flags.DEFINE_bool("decompose", None, text, flag_values=values)
    text = (
        "Where the first levels end, a resolution such as 4x4 or a number of levels (default: "
        "before the last stage, at the last prefix with a decoder or a target of its own, or at an "
        "eighth of the image's side)."
    )
    flags.DEFINE_string("decompose_levels", None, text, flag_values=values)
    text = (
        "Compare reconstructions with their images, too: ssim, ms_ssim (from 161 pixels a side on) "
        "and lpips, between commas (default: all there are weights for)."
    )
    parsing.define_optional_list("perceptual", DEFAULT_METRICS, text, values)
    text = "The weights of LPIPS, FILE.npz, as pcvae-import-lpips writes it."
    flags.DEFINE_string("lpips_weights", None, text, flag_values=values)
    text = (
        "FILE.json, replaced if it is there (default: results/evaluation.json of the run; of a "
        "quick look a file that names its images)."
    )
    shared_flags.define(values, "output", text)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then evaluates."""
    run_dir = command.require_run(values.run_dir)
    if values.output is None:
        early.check_results(run_dir, ["results"])
    if values.output is not None:
        command.require_output(values.output, (".json",))
    frechet, perceptual = frechet_arguments(values), perceptual_arguments(values)
    runs = command.import_runs()
    runs.evaluate(
        run_dir=run_dir,
        split=values.split,
        num_images=values.num_images,
        seed=values.seed,
        spec=values.data,
        batch_size=values.batch_size,
        output=values.output,
        importance_samples=values.importance_samples,
        frechet=frechet,
        perceptual=perceptual,
        **shared_flags.fallback_argument(values),
    )


def perceptual_arguments(values: flags.FlagValues) -> dict[str, Any] | None:
    """Returns the arguments of `runs.evaluate`'s ``perceptual`` that flags give, or None.

    Raises:
        UserError: --lpips_weights is given without --perceptual, a metric is unknown, or LPIPS is
            asked for without weights.
    """
    weights = values.lpips_weights
    if values.perceptual is None:
        if weights:
            raise UserError("--lpips_weights is about perceptual distances: it needs --perceptual")
        return None
    metrics = [*values.perceptual]
    if weights and values.perceptual == DEFAULT_METRICS:
        metrics.append(LPIPS)
    for metric in metrics:
        check_choice("--perceptual", metric, [*DEFAULT_METRICS, LPIPS])
    if LPIPS in metrics and not weights:
        raise UserError("--perceptual=lpips needs --lpips_weights=FILE.npz of pcvae-import-lpips")
    return {"metrics": metrics, "lpips_weights": weights}


def frechet_arguments(values: flags.FlagValues) -> dict[str, Any] | None:
    """Returns the arguments of `runs.frechet_record` that flags give, or None without --frechet.

    Raises:
        UserError: a flag of --frechet is given without it.
    """
    flags_given = [flag for flag in FRECHET_FLAGS if values[flag].value is not None]
    if not values.frechet:
        if flags_given:
            raise UserError(f"--{flags_given[0]} is about the Frechet distance: it needs --frechet")
        return None
    given = {FRECHET_FLAGS[flag]: values[flag].value for flag in flags_given}
    if "temperature" in given:
        given["temperature"], last = parse_temperature(given["temperature"])
        if last is not None:
            raise UserError("--temperature: expected a number or one per level, got a line")
    levels = values.decompose_levels
    if levels is not None:
        given["decompose"] = int(levels) if levels.isdecimal() else levels.strip()
    return given


main = command.Command("evaluate", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
