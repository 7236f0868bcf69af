"""The learning rate as a function of the step."""

import math

import tensorflow as tf

from pcvae.checks import check_choice, check_integer, check_number
from pcvae.errors import UserError

DECAYS = ("constant", "cosine")


class LearningRate:
    """Linear warm-up, then a constant or a half cosine.

    With s the number of steps already taken, the rate is ``peak * min(1, s / warmup_steps)`` as in
    the published training of the VDVAE (Child 2020), so the very first step moves nothing. The
    cosine falls from ``peak`` at the end of the warm-up to ``peak * final_fraction`` at step
    ``decay_steps`` and stays there.
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int = 100,
        decay: str = "constant",
        decay_steps: int | None = None,
        final_fraction: float = 0.0,
    ) -> None:
        """Describes a schedule.

        Args:
            peak: the rate after the warm-up, > 0.
            warmup_steps: length of the warm-up; 0 for none.
            decay: "constant" or "cosine".
            decay_steps: step at which the cosine ends, counted from the start of training.
            final_fraction: what is left of ``peak`` at the end of the cosine, in [0, 1].

        Raises:
            UserError: a value outside its range.
        """
        self.peak = check_number("learning_rate", peak, 0.0, above=True)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, 0)
        self.decay = check_choice("decay", decay, DECAYS)
        if decay == "cosine" and decay_steps is None:
            raise UserError("decay_steps: a cosine needs its last step, got None")
        if decay_steps is not None:
            check_integer("decay_steps", decay_steps, 1)
        self.decay_steps = decay_steps
        self.final_fraction = check_number("final_fraction", final_fraction, 0.0, 1.0)

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        """Returns the rate at a step.

        Args:
            step: integer tensor [] or int, the number of steps already taken.

        Returns:
            float32 [].
        """
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.peak, tf.float32)
        if self.warmup_steps:
            rate *= tf.minimum(step / self.warmup_steps, 1.0)
        if self.decay == "cosine":
            # A run that ends within the warm-up never reaches the cosine.
            length = max(1, self.decay_steps - self.warmup_steps)
            progress = tf.clip_by_value((step - self.warmup_steps) / length, 0.0, 1.0)
            cosine = 0.5 * (1.0 + tf.cos(math.pi * progress))
            rate *= self.final_fraction + (1.0 - self.final_fraction) * cosine
        return rate

    def get_config(self) -> dict:
        """Returns the arguments that make an equal schedule."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "decay_steps": self.decay_steps,
            "final_fraction": self.final_fraction,
        }
