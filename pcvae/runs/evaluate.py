"""The evaluation of a run on a split: likelihood, constraints, and what else is asked for."""

from pathlib import Path

from pcvae import data, evaluation, training
from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.runs.extractors import IN_DOMAIN, find_extractor
from pcvae.runs.finished_run import load
from pcvae.runs.frechet import check_samples, frechet_lines, frechet_record
from pcvae.runs.records import read_run, run_dataset, write_json
from pcvae.training import reports


def evaluate(
    *,
    run_dir,
    split="test",
    num_images=None,
    seed=0,
    spec=None,
    batch_size=None,
    output=None,
    frechet=None,
    strategy=None,
):
    """Evaluates the averaged weights of a run on a split of its dataset.

    Args:
        run_dir: a directory that `train` left.
        split: "train", "validation" or "test".
        num_images: how many images, the first ones; None for all.
        seed: integer, of the posterior and of samples.
        spec: another dataset, as `data.from_spec` takes it, or None.
        batch_size: images at once; None for that of training.
        output: the JSON file that is written, over what is there; None for
            ``results/evaluation.json`` in the run directory.
        frechet: None, or a dict of arguments of `frechet_record`, its own ``split`` among them:
            then samples are measured against the dataset, too.
        strategy: a `tf.distribute.Strategy`; by default one device.

    Returns:
        The record that is written. ``data`` in it is the origin of the dataset, the arguments of
        `data.from_spec`.

    Raises:
        UserError: the run is damaged, or an argument does not fit it.
    """
    run, strategy = read_run(run_dir), strategy or training.make_strategy("one_device")
    with strategy.scope():
        model = load(run_dir)
        dataset = run_dataset(run, spec, model.image_shape)
        count = dataset.num_images(split)
        if num_images is not None and check_integer("num_images", num_images, 1) > count:
            raise UserError(f"num_images: the {split} split has {count} images, got {num_images}")
        batch_size = batch_size or run["batch_size"]
        if frechet is not None:
            frechet = _checked_frechet(model, frechet)
        likelihood = evaluation.LikelihoodEvaluation(model, batch_size)
        record = evaluate_split(likelihood, dataset, split, seed, num_images)
        lines = []
        if frechet is not None:
            record |= frechet_record(model, dataset, seed=seed, batch_size=batch_size, **frechet)
            lines += frechet_lines(record)
    constraints = run.get("constraints", [])
    if constraints:
        state = training.read_group(Path(run_dir) / "checkpoints", "lagrange")
        record["constraints"] = evaluation.constraint_results(
            constraints, record, model.image_shape, state["values"]
        )
    path = Path(output or Path(run_dir) / "results" / "evaluation.json")
    write_json(record, path)
    dead = reports.dead_levels_line(record["rate_nats_per_level"], model.level_resolutions)
    print(*closing_lines(record), dead, *lines, f"wrote {path}", sep="\n")
    return record


def evaluate_split(likelihood, dataset, split, seed, num_images=None):
    """Returns the record of an evaluation of the first images, with progress on the way."""

    def progress(starts):
        return data.with_progress(starts, len(starts), f"evaluating the {split} split, batches")

    record = likelihood(dataset.images(split)[:num_images], seed=seed, progress=progress)
    return {"data": dataset.origin, "split": split, "seed": seed, "weights": "ema", **record}


def closing_lines(record):
    """Returns a line with the numbers of an evaluation, and one for each constraint."""
    count, split = record["num_images"], record["split"]
    return [
        f"{evaluation.headline(record)} on {count:,} images of the {split} split",
        *(constraint["statement"] for constraint in record.get("constraints", ())),
    ]


def _checked_frechet(model, options):
    """Returns the arguments with the extractor found, before anything takes long."""
    options = dict(options)
    check_samples(model, options.get("temperature", 1.0), options.get("pixels", "sample"))
    files = {name: options.pop(name, None) for name in ("resize", "sha256")}
    source = options.pop("extractor", IN_DOMAIN)
    return {**options, "extractor": find_extractor(source, model.image_shape, **files)}
