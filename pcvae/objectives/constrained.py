"""The paper's objectives: least distortion at a rate, least rate at a distortion, all prefixes."""

import itertools
import math
import numbers
from typing import NamedTuple

import tensorflow as tf

from pcvae import units
from pcvae.errors import UserError
from pcvae.objectives.distortions import mse
from pcvae.objectives.prefix_distortion import check_one_decoder
from pcvae.outputs import ObjectiveTerms

RATE = "rate_nats_per_dim"
DISTORTION = "distortion_mse"

# Beyond any rate or distortion of an image, and within what float32 can divide by.
MIN_TARGET, MAX_TARGET = 1e-9, 1e9
MAX_PSNR_DB = 90.0  # mse 4e-9; rounding to 8 bits alone costs more


class Constraint(NamedTuple):
    """A bound on a quantity, to be met with equality where the model can."""

    quantity: str  # "rate_nats_per_dim" or "distortion_mse"
    target: float  # in the unit that the quantity names
    num_levels: int | None = None  # of the prefix whose rate is bounded; None for all levels


class ConstrainedRate:
    """Least distortion at a rate (eq. 1): minimises E||x - d(z)||^2 / D subject to R <= target.

    The rate is the true one, of all levels of the model: give the model latents up to the
    resolution that is to be coded (``num_latent_levels``) and the linear head. Exactly one target.

    Args:
        rate_target_nats_per_dim: nats per dimension.
        rate_target_bits_per_dim: the same in bits per dimension.

    Raises:
        UserError: no target, two targets, or a target that is not above 0.
    """

    def __init__(self, rate_target_nats_per_dim=None, rate_target_bits_per_dim=None):
        target = _one_target(
            rate_target_nats_per_dim=rate_target_nats_per_dim,
            rate_target_bits_per_dim=rate_target_bits_per_dim,
        )
        if rate_target_nats_per_dim is None:
            target = units.bits_to_nats(target)
        self.target = target

    def constraints(self, decoded_prefixes):
        """Returns the constraints, in the order of the gaps.

        Args:
            decoded_prefixes: the numbers of levels K of the prefixes that the model decodes, the
                last being all levels.

        Returns:
            A tuple of `Constraint`.

        Raises:
            UserError: the model has decoders of prefixes, which this objective does not train.
        """
        check_one_decoder(self, decoded_prefixes)
        return (Constraint(RATE, self.target),)

    def __call__(self, output, images, step):
        """Gives the terms of a batch.

        Args:
            output: a `VDVAEOutput`.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, not used.

        Returns:
            `ObjectiveTerms`; the loss is the mean squared error.
        """
        distortion = mse(images, output.reconstruction)
        rate = units.sum_per_example(output.rate_per_level)
        gap = units.nats_per_dim(rate, images.shape[1:]) - self.target
        return ObjectiveTerms(distortion, rate, distortion, {}, gap[:, None])


class ConstrainedDistortion:
    """Least rate at a distortion (eq. 2): minimises R subject to E||x - d(z)||^2 / D <= target.

    Exactly one target.

    Args:
        distortion_target_mse: mean squared error on [-1, 1].
        distortion_target_psnr_db: the PSNR of the mean squared error over all images; the mean of
            the PSNRs of single images is larger.

    Raises:
        UserError: no target, two targets, or a target that is not above 0.
    """

    def __init__(self, distortion_target_mse=None, distortion_target_psnr_db=None):
        target = _one_target(
            distortion_target_mse=distortion_target_mse,
            distortion_target_psnr_db=distortion_target_psnr_db,
        )
        if distortion_target_mse is None:
            if target > MAX_PSNR_DB:
                raise UserError(
                    f"distortion_target_psnr_db: expected a number from 0 to {MAX_PSNR_DB:g}, got "
                    f"{distortion_target_psnr_db!r}"
                )
            target = units.mse_from_psnr_db(target)
        self.target = target

    def constraints(self, decoded_prefixes):
        """Returns the one constraint; see `ConstrainedRate.constraints`."""
        check_one_decoder(self, decoded_prefixes)
        return (Constraint(DISTORTION, self.target),)

    def __call__(self, output, images, step):
        """Gives the terms of a batch; see `ConstrainedRate`. The loss is in nats per dimension."""
        distortion = mse(images, output.reconstruction)
        rate = units.sum_per_example(output.rate_per_level)
        gap = distortion - self.target
        loss = units.nats_per_dim(rate, images.shape[1:])
        return ObjectiveTerms(loss, rate, distortion, {}, gap[:, None])


class ProgressiveCoding:
    """Every prefix a good code (eq. 3): min of sum_k E||x - d_k(z_1:k)||^2 / D, R_k <= target_k.

    Each constrained prefix has a decoder of its own: those of the model's ``prefix_decoders``, and
    the model's own path for the last, which holds all levels. One target for each, coarsest
    first; each bounds the rate of the whole prefix z_1:k, so that the targets grow. One of the two:

    Args:
        rate_targets_nats_per_dim: nats per dimension, one for each prefix.
        rate_targets_bits_per_dim: the same in bits per dimension.

    Raises:
        UserError: the targets are not above 0 and growing.
    """

    def __init__(self, rate_targets_nats_per_dim=None, rate_targets_bits_per_dim=None):
        in_nats = rate_targets_bits_per_dim is None
        name = "rate_targets_nats_per_dim" if in_nats else "rate_targets_bits_per_dim"
        targets = rate_targets_nats_per_dim if in_nats else rate_targets_bits_per_dim
        if targets is None or not (in_nats or rate_targets_nats_per_dim is None):
            raise UserError(
                "expected rate_targets_nats_per_dim or rate_targets_bits_per_dim, one of them; "
                f"got {'none' if targets is None else 'both'}"
            )
        if not isinstance(targets, list | tuple) or not targets:
            raise UserError(f"{name}: expected a list of numbers, got {targets!r}")
        targets = [_checked_target(name, target) for target in targets]
        if any(later <= earlier for earlier, later in itertools.pairwise(targets)):
            raise UserError(
                f"{name}: expected growing numbers, the rates of longer and longer prefixes; "
                f"got {targets}"
            )
        self.targets = tuple(targets if in_nats else map(units.bits_to_nats, targets))

    def constraints(self, decoded_prefixes):
        """Returns one `Constraint` for each prefix; see `ConstrainedRate.constraints`."""
        if len(decoded_prefixes) != len(self.targets):
            raise UserError(
                f"ProgressiveCoding has {len(self.targets)} rate targets, but the model decodes "
                f"{len(decoded_prefixes)} prefixes (K = {', '.join(map(str, decoded_prefixes))}): "
                "give one target for each of prefix_decoders and one for all levels"
            )
        return tuple(
            Constraint(RATE, target, num_levels)
            for target, num_levels in zip(self.targets, decoded_prefixes, strict=True)
        )

    def __call__(self, output, images, step):
        """Gives the terms of a batch; see `ConstrainedRate`. The loss sums over the prefixes."""
        own = output.rate_per_level.shape[1]
        reconstructions = {**output.prefix_reconstructions, own: output.reconstruction}
        prefixes = sorted(reconstructions)
        distortions = {k: mse(images, reconstructions[k]) for k in prefixes}
        rates = {k: units.sum_per_example(output.rate_per_level[:, :k]) for k in prefixes}
        gaps = [
            units.nats_per_dim(rates[k], images.shape[1:]) - target
            for k, target in zip(prefixes, self.targets, strict=True)
        ]
        return ObjectiveTerms(
            loss=tf.add_n(list(distortions.values())),
            rate=rates[own],
            distortion=distortions[own],
            metrics={f"distortion/prefix_{k:03d}_mse": distortions[k] for k in prefixes},
            constraint_gaps=tf.stack(gaps, axis=1),
        )


def _one_target(**targets):
    """Returns the one target that is given, checked."""
    names = " or ".join(targets)
    given = {name: value for name, value in targets.items() if value is not None}
    if len(given) != 1:
        got = "none" if not given else "both"
        raise UserError(f"expected {names}, one of them; got {got}")
    ((name, value),) = given.items()
    return _checked_target(name, value)


def _checked_target(name, value):
    """Returns a target as a float.

    Raises:
        UserError: it is not a finite number above 0.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0.0 < value < math.inf:
        raise UserError(f"{name}: expected a number above 0, got {value!r}")
    if not MIN_TARGET <= value <= MAX_TARGET:
        raise UserError(
            f"{name}: expected a number from {MIN_TARGET:g} to {MAX_TARGET:g}, got {value!r}"
        )
    return float(value)
