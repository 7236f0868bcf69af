"""Training over a run's images that a signal ends with a checkpoint."""

import signal
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from pcvae import data, training
from pcvae.errors import Interrupted
from pcvae.runs.one_writer import check_still_there
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.watched_workers import part


def train_resumably(
    trainer: training.Trainer,
    strategy: tf.distribute.Strategy,
    images: np.ndarray,
    checkpoints: training.Checkpoints,
    *,
    directory: RunDirectory,
    seed: int,
    steps: int,
    batch_size: int,
    report: training.Action,
    actions: Sequence[training.Action],
    logs: Sequence[training.ScalarLog],
    what: str,
    given: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Trains from the step where the trainer stands up to the last one.

    Args:
        trainer: restored from the newest checkpoint, if there is one.
        strategy: the `tf.distribute.Strategy` that made it.
        images: the training images.
        checkpoints: `training.Checkpoints` of its state.
        directory: the `RunDirectory` that this process writes into.
        seed: integer, of the order of the images.
        steps: steps in all.
        batch_size: global batch size.
        report: `training.Action` whose function takes a `training.Window`.
        actions: `training.Action`s, in their order.
        logs: `training.ScalarLog`s that are closed at the end, however it comes.
        what: what the message of an interruption names after the step, such as " of the fit".
        given: what comes with each image; see `data.training_batches`.

    Raises:
        UserError: the directory was deleted, or became another's; found before each action.
        Interrupted: a signal came, or nobody reads the pipe of the output any more (SIGPIPE); a
            checkpoint was saved.
    """
    start = trainer.steps_taken

    def in_its_place(action):
        def run(step):
            check_still_there(directory)
            action.run(step)

        return action._replace(run=run)

    def batches_of(context):
        return data.training_batches(
            images, batch_size, seed, first_step=start, input_context=context, given=given
        )

    try:
        training.train(
            trainer,
            training.distributed_batches(strategy, batches_of),
            steps,
            batch_size,
            report.run,
            report.every_steps,
            [in_its_place(action) for action in actions],
            training.peers_of(strategy),
            checkpoints.unreported,
        )
    except (Interrupted, BrokenPipeError) as error:
        part(strategy)  # whoever ends first
        check_still_there(directory)
        number = error.signal_number if isinstance(error, Interrupted) else signal.SIGPIPE
        step = trainer.steps_taken
        if step == 0:
            message = f"interrupted before the first step{what}; the same command starts anew"
            raise Interrupted(number, message) from error
        if step > start:
            checkpoints.save(step)
        raise Interrupted(
            number,
            f"interrupted after step {step}{what}; checkpoint saved; the same command goes on from "
            "there",
        ) from error
    finally:
        for log in logs:
            log.close()
