"""Training over a run's images that a signal ends with a checkpoint."""

import signal
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from pcvae import data, training
from pcvae.errors import Interrupted, UserError
from pcvae.runs.run_directory import RunDirectory
from pcvae.signals import end_process


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
    command: str = "the same command",
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
        command: which command goes on, in words.
        given: what comes with each image; see `data.training_batches`.

    Raises:
        UserError: the directory was deleted, or became another's; found before each action.
        Interrupted: a signal came, or nobody reads the pipe of the output any more (SIGPIPE); a
            checkpoint was saved.
    """
    start = trainer.steps_taken

    def in_its_place(action):
        def run(step):
            directory.check_still_there()
            action.run(step)

        return action._replace(run=run)

    def batches_of(context):
        return data.training_batches(
            images, batch_size, seed, first_step=start, input_context=context, given=given
        )

    def saved(number, steps_taken=True):
        """Saves what was not saved yet; returns the error that says so."""
        step = trainer.steps_taken if steps_taken else start
        if step == 0:
            message = f"interrupted before the first step{what}; {command} starts anew"
            return Interrupted(number, message)
        directory.check_still_there()
        if step > start:
            checkpoints.save(step)
        message = f"interrupted after step {step}{what}; checkpoint saved; {command} goes on"
        return Interrupted(number, f"{message} from there")

    def end_late(number, steps_taken):
        try:
            line = saved(number, steps_taken)
        except UserError as error:
            end_process(2, f"pcvae: error: {error}")
        for log in logs:
            log.flush()
        if peers:
            peers.end_all(number)
        end_process(128 + number, f"pcvae: {line}")

    peers = training.peers_of(strategy)
    try:
        training.train(
            trainer,
            training.distributed_batches(strategy, batches_of),
            steps,
            batch_size,
            report.run,
            report.every_steps,
            [in_its_place(action) for action in actions],
            peers,
            checkpoints.unreported,
            end_late,
        )
    except (Interrupted, BrokenPipeError) as error:
        if peers and peers.stop_here:
            peers.leave()  # all end here, in any order
        number = error.signal_number if isinstance(error, Interrupted) else signal.SIGPIPE
        ended = saved(number)
        if peers and not peers.stop_here:
            peers.end_all(number)  # they wait for what this worker does not do any more
        raise ended from error
    finally:
        for log in logs:
            log.close()
