"""One training update: aggregate, global norm, clip, skip or apply, move the average.

One object owns the whole order, and all decisions fall on the gradients that are already summed
over the replicas. So the result does not depend on how many replicas share the batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from pcvae.checks import check_counts, check_number
from pcvae.errors import UserError
from pcvae.training.optimizers import FusedOptimizer, named_variables
from pcvae.variables import assign_local, local_handle, state_variable

MIN_NORMS_FOR_MEDIAN = 20


class TrainingDivergedError(UserError):
    """The gradients stayed non-finite for many steps in a row."""


class UpdateReport(NamedTuple):
    """What one update did; equal on all replicas."""

    gradient_norm: tf.Tensor  # [] float32, global norm before clipping
    skip_threshold: tf.Tensor  # [] float32, a larger norm is skipped; inf while there is none
    learning_rate: tf.Tensor  # [] float32
    skipped: tf.Tensor  # [] bool
    skipped_total: tf.Tensor  # [] int64
    skipped_in_a_row: tf.Tensor  # [] int64
    nonfinite_in_a_row: tf.Tensor  # [] int64


class GradientUpdate:
    """Applies gradients with clipping, skipping and an exponential moving average of the weights.

    The published VDVAE skips an update when the global gradient norm exceeds a fixed number, and
    training can then stop for good. Here (ours) the limit is ``skip_factor`` times the median of
    the last ``skip_window`` finite norms. Skipped norms count, so that the median follows a
    lasting change. Nothing is skipped before 20 norms are known. After ``max_consecutive_skips``
    skips in a row the next finite update is applied, clipped. An update with a non-finite norm is
    always skipped. A skipped update changes neither weights, nor optimizer slots, nor averages.

    The average of a weight moves by ``1 - decay`` of the way at each applied update. With
    ``ema_warmup`` (ours) the decay is at most (1 + t) / (10 + t) after t applied updates, so that a
    short run does not average in its initial weights. The statistics of a model, which no gradient
    moves, are averaged like its weights.

    Attributes:
        variables: dict name -> variable, in the order in which ``apply`` takes their gradients.
        statistics: dict name -> variable of which ``apply`` is told the new values.
        step: int64 variable, updates tried so far, skipped ones included.
        ema: dict name -> variable, the averaged weights.
    """

    def __init__(
        self,
        optimizer: FusedOptimizer,
        clip_norm: float | None = 200.0,
        skip_factor: float | None = 10.0,
        skip_window: int = 100,
        max_consecutive_skips: int = 5,
        max_consecutive_nonfinite: int = 20,
        ema_decay: float = 0.999,
        ema_warmup: bool = True,
    ) -> None:
        """Describes an update.

        Args:
            optimizer: an ``AdamW`` or ``Adamax`` that is not built yet.
            clip_norm: largest global norm that is applied; None for no clipping.
            skip_factor: multiple of the median norm beyond which an update is skipped; None to skip
                only what is not finite.
            skip_window: number of norms under the median.
            max_consecutive_skips: most skips in a row of updates with a finite norm.
            max_consecutive_nonfinite: non-finite norms in a row at which training has diverged.
            ema_decay: decay of the average of the weights, in [0, 1).
            ema_warmup: whether a smaller decay is used at first.

        Raises:
            UserError: a value outside its range.
        """
        check_counts(
            skip_window=skip_window,
            max_consecutive_skips=max_consecutive_skips,
            max_consecutive_nonfinite=max_consecutive_nonfinite,
        )
        self.optimizer = optimizer
        if clip_norm is not None:
            check_number("clip_norm (None for no clipping)", clip_norm, 0.0, above=True)
        if skip_factor is not None:
            check_number("skip_factor (None for no skipping)", skip_factor, 1.0, above=True)
        self.clip_norm = clip_norm
        self.skip_factor = skip_factor
        self.skip_window = skip_window
        self.max_consecutive_skips = max_consecutive_skips
        self.max_consecutive_nonfinite = max_consecutive_nonfinite
        self.ema_decay = check_number("ema_decay", ema_decay, 0.0, 1.0, below=True)
        self.ema_warmup = ema_warmup
        self.variables = {}
        self.statistics = {}
        self.ema = {}

    def build(
        self,
        variables: Mapping[str, Any] | Sequence,
        averages: Mapping[str, Any] | None = None,
        statistics: Mapping[str, Any] | None = None,
    ) -> None:
        """Creates all state, in the scope of the strategy that made the variables.

        The averages start at the values that the variables have now.

        Args:
            variables: dict name -> float variable, or a sequence, whose variables then go by their
                own path. The names are the keys of the state and of the checkpoint.
            averages: dict of the same names -> variable that is to hold the average, such as the
                weights of a second model; None creates them.
            statistics: dict name -> float variable that moves without a gradient, if there are any.

        Raises:
            ValueError: names or scope do not agree.
        """
        self.variables = named_variables(variables)
        self.statistics = named_variables(statistics or {})
        self.optimizer.build(self.variables)
        averaged = {**self.variables, **self.statistics}
        if averages is None:
            averages = {
                name: state_variable(f"ema/{name}", lambda v=variable: tf.convert_to_tensor(v))
                for name, variable in averaged.items()
            }
        self.ema = named_variables(averages)
        if different := sorted(self.ema.keys() ^ averaged.keys()):
            raise ValueError(f"averages and variables differ in: {', '.join(different)}")
        for name, variable in averaged.items():
            self.ema[name].assign(tf.convert_to_tensor(variable))
        self.step = _counter("step")
        self._skipped_total = _counter("skipped_total")
        self._skipped_in_a_row = _counter("skipped_in_a_row")
        self._nonfinite_in_a_row = _counter("nonfinite_in_a_row")
        self._norms_seen = _counter("norms_seen")
        # A ring; infinity marks a place not yet filled and is sorted to the end.
        self._recent_norms = state_variable(
            "recent_norms", lambda: tf.fill([self.skip_window], float("inf"))
        )

    @property
    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to keep: dict group -> dict name -> variable."""
        return {
            "ema": dict(self.ema),
            "optimizer": self.optimizer.state,
            "update": {
                "step": self.step,
                "skipped_total": self._skipped_total,
                "skipped_in_a_row": self._skipped_in_a_row,
                "nonfinite_in_a_row": self._nonfinite_in_a_row,
                "norms_seen": self._norms_seen,
                "recent_norms": self._recent_norms,
            },
        }

    def apply(
        self, gradients: Sequence[tf.Tensor], statistics: Mapping[str, tf.Tensor] | None = None
    ) -> UpdateReport:
        """Does one update, in replica context or without a strategy.

        Args:
            gradients: a tensor for each of ``variables``, in their order: of the loss of the
                replica's part of the batch, divided by the number of replicas.
            statistics: {name: new value} of ``statistics``, equal on all replicas.

        Returns:
            An ``UpdateReport``.

        Raises:
            ValueError: a variable has no gradient.
        """
        gradients = self._aggregate(gradients)
        norm = _global_norm(gradients)
        finite = tf.math.is_finite(norm)
        threshold = self._skip_threshold()
        in_a_row = tf.convert_to_tensor(self._skipped_in_a_row)
        too_large = (norm > threshold) & (in_a_row < self.max_consecutive_skips)
        active = finite & ~too_large
        scale = 1.0 if self.clip_norm is None else self.clip_norm / tf.maximum(norm, self.clip_norm)
        updates_before = tf.convert_to_tensor(self.optimizer.updates_applied)
        learning_rate = self.optimizer.apply(gradients, self.step, active, scale)
        for name, value in (statistics or {}).items():
            variable = self.statistics[name]
            assign_local(variable, tf.where(active, value, tf.convert_to_tensor(variable)))
        self._move_ema(active, updates_before)
        self._remember(norm, finite)
        assign_local(self.step, tf.convert_to_tensor(self.step) + 1)
        return UpdateReport(
            gradient_norm=norm,
            skip_threshold=threshold,
            learning_rate=learning_rate,
            skipped=~active,
            skipped_total=_count(self._skipped_total, ~active),
            skipped_in_a_row=_count_in_a_row(self._skipped_in_a_row, ~active),
            nonfinite_in_a_row=_count_in_a_row(self._nonfinite_in_a_row, ~finite),
        )

    def raise_if_diverged(self, report: UpdateReport) -> None:
        """Raises ``TrainingDivergedError`` if gradients were not finite for too long.

        It waits for the step, so call it where the report is read anyway.

        Args:
            report: the ``UpdateReport`` of one replica.
        """
        count = int(report.nonfinite_in_a_row)
        if count >= self.max_consecutive_nonfinite:
            raise TrainingDivergedError(
                f"training diverged: the gradients of the last {count} updates are not finite; go "
                "back to an older checkpoint with a lower learning rate (LEARNING_RATE), a smaller "
                "CLIP_NORM or a slower start of the rate (KL_WARMUP_STEPS), and "
                "--allow_config_change"
            )

    def _aggregate(self, gradients):
        """Sums over the replicas: what every replica gets is equal."""
        named = zip(self.variables, gradients, strict=True)
        missing = [name for name, gradient in named if gradient is None]
        if missing:
            raise ValueError(f"no gradient reaches: {', '.join(missing)}")
        context = tf.distribute.get_replica_context()
        if context is None:
            raise ValueError("call apply in replica context: inside strategy.run")
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if context.num_replicas_in_sync == 1:
            return gradients
        return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    def _skip_threshold(self):
        if self.skip_factor is None:
            return tf.constant(float("inf"))
        seen = tf.minimum(tf.convert_to_tensor(self._norms_seen), self.skip_window)
        ordered = tf.sort(tf.convert_to_tensor(self._recent_norms))
        middle = tf.maximum(seen - 1, 0)
        # Gathered: XLA would compile a slice anew for each place that it begins at.
        around = tf.gather(ordered, [middle // 2, (middle + 1) // 2])
        median = 0.5 * (around[0] + around[1])
        enough = seen >= min(MIN_NORMS_FOR_MEDIAN, self.skip_window)
        return tf.where(enough, self.skip_factor * median, float("inf"))

    def _remember(self, norm, finite):
        """Puts a finite norm into the ring."""
        seen = tf.convert_to_tensor(self._norms_seen)
        here = tf.equal(tf.range(self.skip_window, dtype=tf.int64), seen % self.skip_window)
        assign_local(self._recent_norms, tf.where(here & finite, norm, self._recent_norms))
        _count(self._norms_seen, finite)

    def _move_ema(self, active, updates_before):
        decay = tf.constant(self.ema_decay, tf.float32)
        if self.ema_warmup:
            done = tf.cast(updates_before, tf.float32)
            decay = tf.minimum(decay, (1.0 + done) / (10.0 + done))
        way = tf.where(active, 1.0 - decay, 0.0)
        for name, variable in (*self.variables.items(), *self.statistics.items()):
            average = self.ema[name]
            gap = tf.convert_to_tensor(average) - tf.convert_to_tensor(variable)
            tf.raw_ops.ResourceApplyGradientDescent(
                var=local_handle(average), alpha=tf.cast(way, gap.dtype), delta=gap
            )


def _global_norm(gradients):
    """Returns the global norm, float32 []: one number that all replicas decide on.

    The mean over the replicas makes sure that they do so even where equal gradients could give
    norms that differ in the last bit, as on machines of different kinds.
    """
    norm = tf.sqrt(2.0 * tf.add_n([tf.cast(tf.nn.l2_loss(g), tf.float32) for g in gradients]))
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return norm
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, norm)


def _counter(name):
    return state_variable(name, lambda: tf.zeros([], tf.int64))


def _count(counter, event):
    """Adds one to a counter if the event happened; returns the new count."""
    count = tf.convert_to_tensor(counter) + tf.cast(event, tf.int64)
    assign_local(counter, count)
    return count


def _count_in_a_row(counter, event):
    """Adds one to a counter if the event happened, else sets it to zero; returns the new count."""
    count = tf.where(event, tf.convert_to_tensor(counter) + 1, 0)
    assign_local(counter, count)
    return count
