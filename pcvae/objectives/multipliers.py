"""Lagrange multipliers: state that moves with the gaps of the constraints."""

import math

import tensorflow as tf

from pcvae.errors import UserError
from pcvae.variables import assign_local, state_variable

# Zhao et al. 2018: raw multiplier, dual ascent by RMSProp, projected to a range.
LAGRANGIAN_DEFAULTS = {"learning_rate": 1e-4, "minimum": 1e-3, "maximum": 100.0}
# Ours, of the same order as published; the range only keeps float32 safe.
GECO_DEFAULTS = {"learning_rate": 0.01, "minimum": 1e-6, "maximum": 1e6}
RULES = {"lagrangian": LAGRANGIAN_DEFAULTS, "geco": GECO_DEFAULTS}

RMSPROP_DECAY = 0.9
RMSPROP_EPSILON = 1e-7
MAX_GAP = 1e15


class LagrangeMultiplier:
    """The multipliers of an objective's constraints, one for each, that start equal.

    A multiplier grows while its constraint is violated (gap = value - target > 0) and shrinks while
    it is satisfied. Rules:

    * ``lagrangian`` (Zhao et al. 2018, arXiv 1806.06514): dual ascent on the raw multiplier by
      RMSProp on the gap of the batch, projected to a range. One step moves it by about the
      learning rate, so that the published 1e-4 needs 4e4 steps from 1 to 5.
    * ``geco`` (Rezende and Viola 2018, arXiv 1810.00597): the logarithm of the multiplier moves by
      the learning rate times a moving average of the gap, faster when the constraint is satisfied.

    Ours: gaps are relative to their targets, so that one learning rate fits every target, and in
    ``geco`` the relative gap of a batch counts as at most 1, so that the start, where rates can be
    far from any target, does not throw the multiplier away. A gap that is not finite moves nothing.

    Args:
        rule: "lagrangian" or "geco".
        initial: value at the start.
        learning_rate: speed of the rule; None for 1e-4 (``lagrangian``, published) or 0.01
            (``geco``, ours).
        average_decay: decay of the moving average of the gap (``geco``; published).
        satisfied_speedup: how much faster the multiplier falls than it rises (``geco``; ours).
        minimum: smallest value; None for 1e-3 (``lagrangian``, published) or 1e-6.
        maximum: largest value; None for 100 (``lagrangian``, published) or 1e6.

    Raises:
        UserError: an argument outside its range.
    """

    def __init__(
        self,
        rule="geco",
        initial=1.0,
        learning_rate=None,
        average_decay=0.99,
        satisfied_speedup=2.0,
        minimum=None,
        maximum=None,
    ):
        if rule not in RULES:
            raise UserError(f"multiplier rule: expected one of {', '.join(RULES)}, got {rule!r}")
        given = {"learning_rate": learning_rate, "minimum": minimum, "maximum": maximum}
        given = {name: value for name, value in given.items() if value is not None}
        self.rule = rule
        self.learning_rate, self.minimum, self.maximum = (RULES[rule] | given).values()
        self.initial = initial
        self.average_decay = average_decay
        self.satisfied_speedup = satisfied_speedup
        self._check()

    def _check(self):
        positive = {
            "learning_rate": self.learning_rate,
            "minimum": self.minimum,
            "satisfied_speedup": self.satisfied_speedup,
        }
        for name, value in positive.items():
            if not 0.0 < value < math.inf:
                raise UserError(f"multiplier {name}: expected a number above 0, got {value}")
        if not self.minimum <= self.initial <= self.maximum < math.inf:
            raise UserError(
                "multiplier: expected minimum <= initial <= maximum, got "
                f"{self.minimum}, {self.initial}, {self.maximum}"
            )
        if not 0.0 <= self.average_decay < 1.0:
            raise UserError(
                f"multiplier average_decay: expected a number in [0, 1), got {self.average_decay}"
            )

    def build(self, num_constraints):
        """Creates the state, in the scope of the strategy that trains."""
        shape = (num_constraints,)
        self.values = state_variable("multipliers", lambda: tf.fill(shape, float(self.initial)))
        # The moving average of the gaps (geco) or of their squares (lagrangian).
        self._average = state_variable("average", lambda: tf.zeros(shape))

    @property
    def state(self):
        """All that a checkpoint has to keep: {name: variable}."""
        return {"values": self.values, "average": self._average}

    def update(self, relative_gaps):
        """Moves the multipliers, in replica context or without a strategy.

        Args:
            relative_gaps: [constraints], (value - target) / target, averaged over the global batch
                and equal on all replicas.

        Returns:
            The new multipliers, float32 [constraints].
        """
        finite = tf.math.is_finite(relative_gaps)
        rule = self._lagrangian if self.rule == "lagrangian" else self._geco
        average, values = rule(relative_gaps, tf.convert_to_tensor(self.values))
        values = tf.clip_by_value(values, self.minimum, self.maximum)
        values = tf.where(finite, values, self.values)
        assign_local(self._average, tf.where(finite, average, self._average))
        assign_local(self.values, values)
        return values

    def _lagrangian(self, gaps, values):
        gaps = tf.minimum(gaps, MAX_GAP)  # whose square is finite
        average = RMSPROP_DECAY * self._average + (1.0 - RMSPROP_DECAY) * tf.square(gaps)
        step = self.learning_rate * gaps / (tf.sqrt(average) + RMSPROP_EPSILON)
        return average, values + step

    def _geco(self, gaps, values):
        gaps = tf.minimum(gaps, 1.0)
        average = self.average_decay * self._average + (1.0 - self.average_decay) * gaps
        speed = tf.where(average < 0.0, self.satisfied_speedup, 1.0) * self.learning_rate
        return average, values * tf.exp(speed * average)
