"""The training run: assembles the parts, trains, evaluates, leaves the files.

The name of this module stands in ``config.gin`` of every run: `training_run.train`.
"""

import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pcvae import data, measure, models, quantities, training
from pcvae.checks import check_batch, check_bytes, check_counts, check_folder, check_seed
from pcvae.errors import UserError
from pcvae.files import write_json
from pcvae.models.recorded import BYTES_PER_WEIGHT
from pcvae.runs.evaluate import evaluate_split, shape_fields
from pcvae.runs.frozen_weights import FrozenWeights, cached_first_stage
from pcvae.runs.one_writer import one_writer
from pcvae.runs.report import health_of, write_report
from pcvae.runs.resumable_training import train_resumably
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.run_pictures import attempted, draw_pictures, write_pictures
from pcvae.runs.step_memory import memory_warning
from pcvae.runs.watched_workers import part, watched_workers
from pcvae.training import reports
from pcvae.wording import wording_of


@one_writer("training")
@watched_workers
def train(
    *,
    run_dir: str | os.PathLike,
    dataset: data.ImageDataset,
    model_fn: Callable,
    objective_fn: Callable,
    optimizer_fn: Callable,
    update_fn: Callable,
    trainer_fn: Callable,
    steps: int,
    batch_size: int,
    strategy: tf.distribute.Strategy | None = None,
    seed: int = 0,
    report_every_steps: int = 50,
    evaluate_every_steps: int = 1000,
    checkpoint_every_steps: int = 1000,
    images_every_steps: int = 1000,
    num_validation_images: int = 1000,
    max_checkpoints: int = 3,
    cache_first_stage: bool = False,
    fallback: bool = True,
    on_assembled: Callable | None = None,
    on_start: Callable | None = None,
) -> dict[str, Any]:
    """Trains a model, resuming where the directory stands, and evaluates it on the test split.

    Args:
        run_dir: where everything is kept.
        dataset: an `ImageDataset`.
        model_fn: called with image_shape; returns the model, which may have frozen weights.
        objective_fn: called without arguments; returns the objective.
        optimizer_fn: called without arguments; returns an `AdamW` or `Adamax`.
        update_fn: called with optimizer; returns a `GradientUpdate`.
        trainer_fn: called with model, averaged_model, objective, update and seed.
        steps: steps in all, those of earlier calls included.
        batch_size: global batch size, over all replicas.
        strategy: a `tf.distribute.Strategy`; by default one device.
        seed: integer from 0 to 2^32 - 1, of the initial weights, the order of the data and the
            noise.
        report_every_steps: steps between lines of progress and scalars.
        evaluate_every_steps: steps between evaluations on the validation split.
        checkpoint_every_steps: steps between checkpoints.
        images_every_steps: steps between grids of samples and prefix reconstructions.
        num_validation_images: how many images those evaluations take.
        max_checkpoints: how many of the newest checkpoints are kept.
        cache_first_stage: whether what a frozen first stage gives is computed once for each image
            instead of anew at each step; see `frozen_weights.cached_first_stage`.
        fallback: whether training goes on from an older checkpoint, with a warning, where the
            newest one is damaged or files of it are missing.
        on_assembled: called when all parts are made; its errors end the run.
        on_start: called when the images are ready, too, and nothing is written yet; returns a text
            (Markdown) about a configuration that is new, or None. Its errors end the run.

    Returns:
        The record of ``results/evaluation.json``.

    Raises:
        UserError: the parts do not fit together, or not to the directory; another process writes
            into it (`locks.Held`); or it is deleted meanwhile.
        Interrupted: a signal came; a checkpoint was saved.
    """
    check_counts(
        steps=steps,
        batch_size=batch_size,
        report_every_steps=report_every_steps,
        evaluate_every_steps=evaluate_every_steps,
        checkpoint_every_steps=checkpoint_every_steps,
        images_every_steps=images_every_steps,
        num_validation_images=num_validation_images,
        max_checkpoints=max_checkpoints,
    )
    seed, directory = check_seed(seed), RunDirectory(check_folder(run_dir, "run_dir"))
    steps, batch_size = int(steps), int(batch_size)
    strategy = strategy or training.make_strategy("one_device")
    chief, peers = training.is_chief(strategy), training.peers_of(strategy)
    check_batch(batch_size, dataset.image_shape)
    with strategy.scope():
        keras.utils.set_random_seed(seed)
        model = model_fn(image_shape=dataset.image_shape)
        # Weights, their averages and gradients, and two slots of the optimizer.
        taken = 5 * BYTES_PER_WEIGHT * model.count_params()
        check_bytes("the model", taken, "training its weights", ": give a smaller one")
        averaged_model = model.twin()
        update = update_fn(optimizer=optimizer_fn())
        trainer = trainer_fn(
            model=model,
            averaged_model=averaged_model,
            objective=objective_fn(),
            update=update,
            seed=seed,
        )
        likelihood = measure.LikelihoodEvaluation(averaged_model, batch_size=batch_size)
    trainer.check_batch_size(batch_size)
    _say(chief, memory_warning(trainer, batch_size))
    constraints = [constraint._asdict() for constraint in trainer.constraints()]
    wording = wording_of(constraints)
    frozen = FrozenWeights(model, directory)
    frozen.check_unchanged()
    if on_assembled:
        on_assembled()
    train_images, validation_images = dataset.images("train"), dataset.images("validation")
    checkpoints = training.Checkpoints(
        directory.checkpoints, trainer.state, max_to_keep=max_checkpoints, chief=chief
    )
    restored = checkpoints.restore_newest(fallback)
    start = 0 if restored is None else restored
    if restored is None:
        _say_what_is_lost(chief, directory)
    configuration = on_start() if on_start else None
    if chief:
        directory.results.mkdir(parents=True, exist_ok=True)
        models.write_model(model, directory.model_json)
        frozen.save()
        run = {
            "data": dataset.origin,
            "batch_size": batch_size,
            "micro_batches": trainer.micro_batches,
            "steps": steps,
            "seed": seed,
            "constraints": constraints,
            "free_bits_nats_per_level": getattr(trainer.objective, "free_bits_nats_per_level", 0.0),
            "frozen_weights_sha256": frozen.sha256,
        }
        write_json(run, directory.run_json)
    _say(chief, _opening_lines(model, dataset, strategy, directory, start, steps))
    train_log, eval_log = (
        training.ScalarLog(directory.summaries, name, resume_step=start, chief=chief)
        for name in ("train", "eval")
    )
    given = None
    if cache_first_stage and start < steps:
        given = cached_first_stage(model, train_images, seed, batch_size)
    if configuration:
        train_log.text(start, quantities.CONFIGURATION, configuration)
    if not model.rates_of_prefixes_are_exact and restored is None:
        train_log.text(start, "rate", quantities.UPPER_BOUNDS)
    groups = model.level_groups

    def report(window):
        if window.is_due:
            train_log.scalars(window.step, reports.training_scalars(window, groups))
        _say(chief, [reports.progress_line(window, wording)])

    def with_constraints(record):
        if not constraints:
            return record
        multipliers = trainer.multiplier.values.numpy()
        results = measure.constraint_results(constraints, record, model.image_shape, multipliers)
        return {**record, "constraints": results}

    def validate(step):
        images, between = validation_images[:num_validation_images], peers and peers.between
        record = with_constraints(likelihood(images, seed=seed, progress=between))
        eval_log.scalars(step, reports.evaluation_scalars(record, groups))
        if chief:
            whole = {"split": "validation", **shape_fields(model), **record}
            findings = health_of(directory, whole)
            line = f"validation, averaged weights: {measure.headline(record)}"
            _say(chief, [line, *measure.health_summary(findings)])

    def draw(step):
        def pictures():
            return draw_pictures(averaged_model, validation_images, seed)

        for tag, picture in attempted(pictures, f"the pictures of step {step}", {}).items():
            eval_log.images(step, tag, picture)

    # The record of the evaluation comes last, and says that the pictures were drawn, too.
    actions = [
        # How long they trace is by experience.
        training.Action(
            evaluate_every_steps,
            validate,
            was_done=eval_log.has,
            tracing=0.3,
            again=dataset.num_images("test") / min(num_validation_images, len(validation_images)),
        ),
        training.Action(checkpoint_every_steps, checkpoints.save, is_whole=True),
    ]
    if chief:
        drawing = {"is_alone": True, "was_done": eval_log.has, "tracing": 0.8, "again": 1}
        actions.insert(0, training.Action(images_every_steps, draw, **drawing))
    train_resumably(
        trainer,
        strategy,
        train_images,
        checkpoints,
        directory=directory,
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        report=training.Action(report_every_steps, report),
        actions=actions,
        logs=(train_log, eval_log),
        what="",
        given=given,
    )
    record = with_constraints(
        evaluate_split(likelihood, dataset, trainer.steps_taken, "test", seed)
    )
    part(strategy)
    record |= frozen.proof()
    directory.check_still_there()
    if chief:
        write_json(record, directory.evaluation_json)
        written = attempted(
            lambda: write_pictures(averaged_model, dataset.images("test"), seed, directory),
            "the pictures",
            [],
        )
        written += attempted(lambda: [write_report(directory)], "the report", [])
        _say(chief, [*_closing_lines(directory, record), *(f"wrote {path}" for path in written)])
    return record


def _opening_lines(model, dataset, strategy, directory, start, steps):
    replicas = strategy.num_replicas_in_sync
    shape = "x".join(map(str, dataset.image_shape))
    lines = [
        f"{model.name}: {model.num_levels} levels, {_parameters(model)}; "
        f"{dataset.name}: {dataset.num_images('train'):,} training images of {shape}; "
        f"{replicas} {'replica' if replicas == 1 else 'replicas'}",
        f"run directory: {directory}",
    ]
    if start:
        lines.append(f"resuming after step {start} of {steps}")
    if start < steps:
        lines.append("tracing the training step; the first one takes a while")
    return lines


def _closing_lines(directory, record):
    count, split = record["num_images"], record["split"]
    numbers = f"{measure.headline(record)} on {count:,} images of the {split} split"
    return [numbers, *measure.health_lines(health_of(directory, record))]


def _say_what_is_lost(chief, directory):
    """Says that a run whose log goes on starts anew; one that has ended had a checkpoint."""
    if directory.evaluation_json.exists():
        raise UserError(
            f"{directory.checkpoints}: the run was finished, and there is no checkpoint any more: "
            "bring the files back from a copy, or use another --run_dir"
        )
    log = directory.scalars("train")
    if log:
        _say(
            chief,
            [
                f"no checkpoint in {directory.checkpoints}, while the log goes to step "
                f"{log[-1]['step']}: the run was stopped before it saved one, or they were "
                "removed; it starts again from step 0"
            ],
        )


def _parameters(model):
    text = f"{model.count_params():,} parameters"
    frozen = sum(int(weight.shape.num_elements()) for weight in model.frozen_weights.values())
    return f"{text}, {frozen:,} of them frozen" if frozen else text


def _say(chief, lines):
    if chief:
        for line in lines:
            print(line, flush=True)
