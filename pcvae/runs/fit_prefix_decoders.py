"""The refit: decoders of prefixes, fitted to the latents of a run whose weights stay as they are.

``RUN_DIR/prefix_decoders/`` holds ``model.json``, ``checkpoints/``, ``summaries/`` and
``fit.json``: what was asked for, and the SHA-256 of the frozen weights before and after.
"""

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pcvae import models, objectives, training
from pcvae.checks import check_batch, check_counts
from pcvae.errors import UserError
from pcvae.files import read_text, write_json
from pcvae.quantities import prefix_distortion_tag
from pcvae.runs.load import load
from pcvae.runs.one_writer import one_writer
from pcvae.runs.resumable_training import train_resumably
from pcvae.runs.run_directory import RunDirectory
from pcvae.training import reports

BEFORE, AFTER = "frozen_weights_sha256_before", "frozen_weights_sha256_after"


@one_writer("fit of prefix decoders")
def fit_prefix_decoders(
    *,
    run_dir: str | os.PathLike,
    steps: int,
    prefixes: Sequence[int | str] | None = None,
    batch_size: int | None = None,
    learning_rate: float = 4e-3,
    warmup_steps: int = 30,
    ema_decay: float = 0.99,
    seed: int = 0,
    spec: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    from_scratch: bool = False,
    fallback: bool = True,
    report_every_steps: int = 100,
    checkpoint_every_steps: int = 500,
) -> dict[str, Any]:
    """Fits a decoder to each of several prefixes of a run, all in one run over shared latents.

    Minimises the sum over prefixes of the mean squared error, on posterior samples of the averaged
    (EMA) weights, by AdamW with a cosine that ends at the last step (ours). The same call goes on
    where it was stopped, and does nothing once it is done.

    Args:
        run_dir: a directory that `train` left. Nothing in it changes outside of its folder
            ``prefix_decoders``.
        steps: steps of the whole fit.
        prefixes: numbers of levels, or resolutions such as ``"4x4"``; None for those of the fit
            that is there, else every prefix at which a resolution is complete.
        batch_size: global batch size; None for that of training.
        learning_rate: the highest of the cosine. The default is for small models; wide ones take
            less, as in their training.
        warmup_steps: steps over which it is reached.
        ema_decay: decay of the average of the decoders' weights.
        seed: integer, of the initial weights, the order of the data and the noise.
        spec: another dataset, as `data.from_spec` takes it, whose training split is taken; None
            for that of the run.
        strategy: a `tf.distribute.Strategy`; by default one device.
        from_scratch: whether a fit that is there is removed first.
        fallback: whether an older checkpoint will do; see `load`.
        report_every_steps: steps between lines of progress and scalars.
        checkpoint_every_steps: steps between checkpoints.

    Returns:
        The record of ``fit.json``.

    Raises:
        UserError: an argument is out of range; the folder holds another fit; another process writes
            into the run directory (`locks.Held`); or it is deleted meanwhile.
        Interrupted: a signal came; a checkpoint was saved.
    """
    directory = RunDirectory(run_dir)
    run, folder = directory.run(), directory.prefix_decoders
    batch_size = run["batch_size"] if batch_size is None else batch_size
    check_counts(steps=steps, batch_size=batch_size, report_every_steps=report_every_steps)
    existing = None if from_scratch else read_fit(run_dir)
    if prefixes is None and existing:
        prefixes = existing["prefixes"]
    strategy = strategy or training.make_strategy("one_device")
    chief = training.is_chief(strategy)
    with strategy.scope():
        frozen = load(run_dir, fallback)
        check_batch(batch_size, frozen.image_shape)
        keras.utils.set_random_seed(seed)
        decoders, averaged = (models.PrefixDecoders.for_model(frozen, prefixes) for _ in range(2))
        optimizer = training.AdamW(
            learning_rate=learning_rate,
            warmup_steps=warmup_steps,
            decay="cosine",
            decay_steps=steps,
        )
        trainer = training.Trainer(
            model=models.RefittedPrefixes(frozen, decoders),
            averaged_model=models.RefittedPrefixes(frozen, averaged),
            objective=objectives.PrefixDistortion(),
            update=training.GradientUpdate(optimizer, ema_decay=ema_decay),
            seed=seed,
        )
    dataset = directory.dataset(frozen.image_shape, spec)
    fit = {
        "prefixes": list(decoders.prefixes),
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "warmup_steps": warmup_steps,
        "ema_decay": ema_decay,
        "seed": seed,
        "data": dataset.origin,
        BEFORE: models.weights_sha256(frozen),
    }
    if existing:
        _check_same(fit, existing, folder)
        if existing[AFTER]:
            return existing
    images = dataset.images("train")
    if chief:
        if from_scratch:
            shutil.rmtree(folder, ignore_errors=True)
        write_json({**fit, AFTER: None}, folder.fit_json)
        models.write_model(decoders, folder.model_json)
    every = report_every_steps, checkpoint_every_steps
    command = "the same command" + (" without --refit_from_scratch" if from_scratch else "")
    _run(trainer, directory, images, fit, strategy, chief, *every, command)
    fit[AFTER] = models.weights_sha256(frozen)
    if fit[AFTER] != fit[BEFORE]:
        raise RuntimeError("the fit changed the weights of the frozen model")
    directory.check_still_there()
    if chief:
        write_json(fit, folder.fit_json)
    return fit


def read_fit(run_dir: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the record ``fit.json`` of the refit of a run, or None if there was none."""
    path = RunDirectory(run_dir).prefix_decoders.fit_json
    if not path.exists():
        return None
    try:
        fit = json.loads(read_text(path))
        return {**fit, AFTER: fit[AFTER], BEFORE: fit[BEFORE]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: expected the record of a fit, got: {error}; --refit_from_scratch fits anew"
        ) from error


def load_prefix_decoders(
    run_dir: str | os.PathLike, model: models.HierarchicalModel
) -> models.PrefixDecoders | None:
    """Loads the decoders that were fitted to the prefixes of a run, with averaged weights.

    Args:
        run_dir: a directory that `train` left.
        model: its model, as `load` returns it.

    Returns:
        `models.PrefixDecoders`, or None if none were fitted.

    Raises:
        UserError: the fit is not done, or the run was trained further since.
    """
    fit, folder = read_fit(run_dir), RunDirectory(run_dir).prefix_decoders
    if fit is None:
        return None
    if not fit[AFTER]:
        raise UserError(
            f"{folder}: the fit of the decoders was stopped before its {fit['steps']} steps: go on "
            f"with --refit_steps={fit['steps']}, or fit anew with --refit_from_scratch"
        )
    if models.weights_sha256(model) != fit[AFTER]:
        raise UserError(_trained_further(folder))
    decoders = models.read_model(folder.model_json)
    models.load_weights(decoders, training.read_group(folder.checkpoints, "ema"))
    return decoders


def _run(
    trainer,
    directory,
    images,
    fit,
    strategy,
    chief,
    report_every_steps,
    checkpoint_every_steps,
    command,
):
    """Trains up to the last step, from the newest checkpoint on."""
    steps, folder = fit["steps"], directory.prefix_decoders
    checkpoints = training.Checkpoints(
        folder.checkpoints, trainer.state, max_to_keep=2, chief=chief
    )
    start = checkpoints.restore_newest() or 0
    prefixes = ", ".join(map(str, fit["prefixes"]))
    if chief:
        state = f"going on after step {start} of {steps}" if start else f"{steps} steps"
        print(f"fitting decoders to the prefixes K = {prefixes}, {state}", flush=True)
    log = training.ScalarLog(folder.summaries, "train", resume_step=start, chief=chief)
    resolutions = trainer.model.level_resolutions

    def report(window):
        if window.is_due:
            log.scalars(window.step, reports.training_scalars(window, resolutions))
        distortions = [window.metrics[prefix_distortion_tag(k)] for k in fit["prefixes"]]
        by_prefix = " ".join(f"{distortion:.4f}" for distortion in distortions)
        if chief:
            print(f"{reports.progress_line(window)} | mse by prefix {by_prefix}", flush=True)

    train_resumably(
        trainer,
        strategy,
        images,
        checkpoints,
        directory=directory,
        seed=fit["seed"],
        steps=steps,
        batch_size=fit["batch_size"],
        report=training.Action(report_every_steps, report),
        actions=[training.Action(checkpoint_every_steps, checkpoints.save, is_whole=True)],
        logs=(log,),
        what=" of the fit",
        command=command,
    )


def _check_same(fit, existing, folder):
    """Raises UserError unless what is asked for is what the folder's fit was made for."""
    if existing[BEFORE] != fit[BEFORE]:
        raise UserError(_trained_further(folder))
    differences = [
        f"{name} {existing.get(name)} there, {value} now"
        for name, value in fit.items()
        if existing.get(name) != value
    ]
    if differences:
        raise UserError(
            f"{folder} holds another fit ({'; '.join(differences)}): ask for the same, leave out "
            "--refit_steps to use it as it is, or replace it with --refit_from_scratch"
        )


def _trained_further(folder):
    return (
        f"{folder}: the decoders were fitted to other weights than the run has now (it was trained "
        "further): fit them anew with --refit_steps=N --refit_from_scratch"
    )
