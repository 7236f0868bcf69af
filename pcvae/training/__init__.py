"""Training: strategy, optimizers, the update, one step, the loop, checkpoints and summaries."""

from pcvae.training.checkpoint_files import arrays_of, check_finite, has_group, shapes_of, step_of
from pcvae.training.checkpoints import Checkpoints
from pcvae.training.loop import Action, Window, train
from pcvae.training.newest_checkpoint import (
    group_shapes,
    newest,
    newest_step,
    no_checkpoint,
    read_group,
    read_newest,
)
from pcvae.training.optimizers import Adamax, AdamW
from pcvae.training.replicas import distributed_batches
from pcvae.training.schedules import LearningRate
from pcvae.training.spectral import SpectralTerm
from pcvae.training.stopping import stop_signals
from pcvae.training.strategy import is_chief, make_strategy, peers_of
from pcvae.training.summaries import ScalarLog
from pcvae.training.trainers import Trainer
from pcvae.training.update import GradientUpdate, TrainingDivergedError, UpdateReport

# Its former names, by which gin files and the records of older runs call it.
ELBOTrainer = ConstrainedTrainer = SecondStageTrainer = Trainer

__all__ = [
    "Action",
    "AdamW",
    "Adamax",
    "Checkpoints",
    "ConstrainedTrainer",
    "ELBOTrainer",
    "GradientUpdate",
    "LearningRate",
    "ScalarLog",
    "SecondStageTrainer",
    "SpectralTerm",
    "Trainer",
    "TrainingDivergedError",
    "UpdateReport",
    "Window",
    "arrays_of",
    "check_finite",
    "distributed_batches",
    "group_shapes",
    "has_group",
    "is_chief",
    "make_strategy",
    "newest",
    "newest_step",
    "no_checkpoint",
    "peers_of",
    "read_group",
    "read_newest",
    "shapes_of",
    "step_of",
    "stop_signals",
    "train",
]
