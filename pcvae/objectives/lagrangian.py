"""Equations 1 to 3 of Shu and Ermon (2022), and the Lagrangian by which they are trained.

With R_k the rate of the prefix z_1:k, D_k its distortion and R, D those of all levels, each per
dimension and as means over images:

    eq. 1  `ConstrainedRate`        min D          subject to  R <= target
    eq. 2  `ConstrainedDistortion`  min R          subject to  D <= target
    eq. 3  `ProgressiveCoding`      min sum_k D_k  subject to  R_k <= target_k for every k

An objective returns a loss and the gaps = value - target of its constraints; `lagrangian` is what
the weights minimise; `LagrangeMultiplier` then ascends in the multipliers.
"""

from collections.abc import Sequence

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_choice, check_number
from pcvae.errors import UserError
from pcvae.objectives.distortion import check_learned_rates, mse, own_distortion
from pcvae.objectives.targets import distortion_target, rate_target, rate_targets
from pcvae.outputs import Constraint, ObjectiveTerms, VDVAEOutput
from pcvae.quantities import prefix_distortion_tag
from pcvae.variables import assign_local, state_variable
from pcvae.wording import DISTORTION, RATE, relative_gap

RULES = {
    # Zhao et al. 2018: raw multiplier, dual ascent by RMSProp, projected to a range.
    "lagrangian": {"learning_rate": 1e-4, "minimum": 1e-3, "maximum": 100.0},
    # Ours, of the same order as published; the range only keeps float32 safe.
    "geco": {"learning_rate": 0.01, "minimum": 1e-6, "maximum": 1e6},
}

RMSPROP_DECAY = 0.9
RMSPROP_EPSILON = 1e-7
MAX_GAP = 1e15


class ConstrainedRate:
    """Least distortion at a rate (eq. 1): minimises D = E||x - d(z)||^2 subject to R <= target.

    The rate is the true one, of all levels of the model: give the model latents up to the
    resolution that is to be coded (``num_latent_levels``) and the linear head. Exactly one target.

    Args:
        rate_target_nats_per_dim: nats per dimension.
        rate_target_bits_per_dim: the same in bits per dimension.

    Raises:
        UserError: no target, two targets, or a target that is not above 0.
    """

    def __init__(
        self,
        rate_target_nats_per_dim: float | None = None,
        rate_target_bits_per_dim: float | None = None,
    ) -> None:
        self.target, self.unit = rate_target(
            rate_target_nats_per_dim=rate_target_nats_per_dim,
            rate_target_bits_per_dim=rate_target_bits_per_dim,
        )
        self.targets = (self.target,)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch.

        Args:
            output: that of a model without decoders of prefixes.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, not used.

        Returns:
            The terms; the loss is the mean squared error.

        Raises:
            UserError: the model has decoders of prefixes, which this objective does not train.
        """
        check_learned_rates(self, output)
        distortion = own_distortion(self, output, images)
        rate = units.sum_per_example(output.rate_per_level)
        gap = units.nats_per_dim(rate, images.shape[1:]) - self.target
        bound = (Constraint(RATE, self.target, unit=self.unit),)
        return ObjectiveTerms(distortion, rate, distortion, {}, gap[:, None], bound)


class ConstrainedDistortion:
    """Least rate at a distortion (eq. 2): minimises R subject to D = E||x - d(z)||^2 <= target.

    Args:
        distortion_target_mse: mean squared error on [-1, 1].
        distortion_target_psnr_db: the PSNR of the mean squared error over all images; the mean of
            the PSNRs of single images is larger.

    Raises:
        UserError: no target, two targets, or a target that is not above 0.
    """

    def __init__(
        self,
        distortion_target_mse: float | None = None,
        distortion_target_psnr_db: float | None = None,
    ) -> None:
        self.target, self.unit = distortion_target(
            distortion_target_mse=distortion_target_mse,
            distortion_target_psnr_db=distortion_target_psnr_db,
        )
        self.targets = (self.target,)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch; see `ConstrainedRate`. The loss is in nats per dimension."""
        check_learned_rates(self, output)
        distortion = own_distortion(self, output, images)
        rate = units.sum_per_example(output.rate_per_level)
        gap = distortion - self.target
        loss = units.nats_per_dim(rate, images.shape[1:])
        bound = (Constraint(DISTORTION, self.target, unit=self.unit),)
        return ObjectiveTerms(loss, rate, distortion, {}, gap[:, None], bound)


class ProgressiveCoding:
    """Every prefix a good code (eq. 3): min of sum_k D_k = E||x - d_k(z_1:k)||^2, R_k <= target_k.

    Each constrained prefix has a decoder of its own: those of the model's ``prefix_decoders``, and
    the model's own path for the last, which holds all levels. One target for each, coarsest
    first; each bounds the rate of the whole prefix z_1:k, so that the targets grow. One of the two:

    Args:
        rate_targets_nats_per_dim: nats per dimension, one for each prefix.
        rate_targets_bits_per_dim: the same in bits per dimension.

    Raises:
        UserError: the targets are not above 0 and growing.
    """

    def __init__(
        self,
        rate_targets_nats_per_dim: Sequence[float] | None = None,
        rate_targets_bits_per_dim: Sequence[float] | None = None,
    ) -> None:
        self.targets, self.unit = rate_targets(
            rate_targets_nats_per_dim=rate_targets_nats_per_dim,
            rate_targets_bits_per_dim=rate_targets_bits_per_dim,
        )

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch; see `ConstrainedRate`. The loss sums over the prefixes.

        Raises:
            UserError: the model does not decode as many prefixes as there are targets.
        """
        check_learned_rates(self, output)
        own = output.rate_per_level.shape[1]
        reconstructions = {**output.prefix_reconstructions, own: output.reconstruction}
        prefixes = sorted(reconstructions)
        if len(prefixes) != len(self.targets):
            raise UserError(
                f"ProgressiveCoding has {len(self.targets)} rate targets, but the model decodes "
                f"{len(prefixes)} prefixes (K = {', '.join(map(str, prefixes))}): "
                "give one target for each of prefix_decoders and one for all levels"
            )
        distortions = {k: mse(images, reconstructions[k]) for k in prefixes}
        rates = {k: units.sum_per_example(output.rate_per_level[:, :k]) for k in prefixes}
        targets = dict(zip(prefixes, self.targets, strict=True))
        gaps = [units.nats_per_dim(rates[k], images.shape[1:]) - targets[k] for k in prefixes]
        return ObjectiveTerms(
            loss=tf.add_n(list(distortions.values())),
            rate=rates[own],
            distortion=distortions[own],
            metrics={prefix_distortion_tag(k): distortions[k] for k in prefixes},
            constraint_gaps=tf.stack(gaps, axis=1),
            constraints=tuple(Constraint(RATE, targets[k], k, self.unit) for k in prefixes),
        )


def lagrangian(terms: ObjectiveTerms, multipliers: tf.Tensor | None) -> tf.Tensor:
    """(loss + sum_j multiplier_j * gap_j) / (1 + sum_j multiplier_j): what the weights minimise.

    Dividing moves no optimum; it keeps gradients of one size while a multiplier travels over orders
    of magnitude (ours).

    Args:
        terms: those of a batch.
        multipliers: float32 [constraints]; None for an objective without constraints.

    Returns:
        float32 scalar, the mean over the batch.
    """
    if multipliers is None:
        return tf.reduce_mean(terms.loss)
    penalty = tf.linalg.matvec(terms.constraint_gaps, multipliers)
    return tf.reduce_mean(terms.loss + penalty) / (1.0 + tf.reduce_sum(multipliers))


class LagrangeMultiplier:
    """The multipliers of an objective's constraints, one for each, that start equal: dual ascent.

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
        rule: str = "geco",
        initial: float = 1.0,
        learning_rate: float | None = None,
        average_decay: float = 0.99,
        satisfied_speedup: float = 2.0,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> None:
        check_choice("multiplier rule", rule, RULES)
        given = {"learning_rate": learning_rate, "minimum": minimum, "maximum": maximum}
        given = {name: value for name, value in given.items() if value is not None}
        self.rule = rule
        self.learning_rate, self.minimum, self.maximum = (RULES[rule] | given).values()
        self.initial = initial
        self.average_decay = average_decay
        self.satisfied_speedup = satisfied_speedup
        self._check()

    def _check(self):
        for name in ("learning_rate", "minimum", "initial", "maximum", "satisfied_speedup"):
            check_number(f"multiplier {name}", getattr(self, name), 0.0, above=True)
        check_number("multiplier average_decay", self.average_decay, 0.0, 1.0, below=True)
        if not self.minimum <= self.initial <= self.maximum:
            raise UserError(
                "multiplier: expected minimum <= initial <= maximum, got "
                f"{self.minimum}, {self.initial}, {self.maximum}"
            )

    def build(self, targets: Sequence[float]) -> None:
        """Creates the state for so many targets, in the scope of the strategy that trains."""
        self._targets, shape = list(targets), (len(targets),)
        self.values = state_variable("multipliers", lambda: tf.fill(shape, float(self.initial)))
        # The moving average of the gaps (geco) or of their squares (lagrangian).
        self._average = state_variable("average", lambda: tf.zeros(shape))

    @property
    def state(self) -> dict:
        """All that a checkpoint has to keep: {name: variable}."""
        return {"values": self.values, "average": self._average}

    def update(self, gaps: tf.Tensor) -> tf.Tensor:
        """Moves the multipliers, in replica context or without a strategy.

        Args:
            gaps: [constraints], value - target, averaged over the global batch and equal on all
                replicas.

        Returns:
            The new multipliers, float32 [constraints].
        """
        gaps = relative_gap(gaps, self._targets)
        finite = tf.math.is_finite(gaps)
        rule = self._lagrangian if self.rule == "lagrangian" else self._geco
        average, values = rule(gaps, tf.convert_to_tensor(self.values))
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
