"""What a diffusion model is made of: one frozen record, checked as a whole."""

import dataclasses
from collections.abc import Sequence

from pcvae.checks import check_choice
from pcvae.distributions.noise_schedule import LINEAR, NoiseSchedule, make_schedule
from pcvae.errors import UserError
from pcvae.models.constructor_record import ConstructorRecord

VARIANCES = LOWER, UPPER = "lower", "upper"
PREDICTED = NOISE, VELOCITY = "noise", "velocity"


@dataclasses.dataclass(frozen=True)
class Diffusion(ConstructorRecord):
    """What a `DDPM` is made of: its noise schedule, what its network computes, and the network."""

    # T; None for 1000, or as many as there are betas.
    num_levels: int | None = None
    # "linear" for betas that grow linearly, "log_snr" for a signal-to-noise ratio whose logarithm
    # falls linearly (ours; the tighter bound where there are few levels).
    schedule: str = LINEAR
    # beta_1 of the linear schedule; None for 1e-4 * 1000 / T (ours where T is other).
    first_beta: float | None = None
    # beta_T; None for 0.02 * 1000 / T.
    last_beta: float | None = None
    # Those of another schedule, one for each level; None for one of a name.
    betas: Sequence[float] | None = None
    # That of p(x_{t-1} | x_t): "lower" for betatilde_t, that of q; "upper" for beta_t.
    variance: str = LOWER
    # What the U-Net computes; "velocity" is far better at low signal-to-noise ratios.
    predicts: str = NOISE
    # Whether the estimate of the image is clipped.
    clip: bool = True
    # Of the `UNet`: channels at the image's resolution.
    width: int = 128
    # The width of each resolution, finest first, as a multiple.
    multipliers: Sequence[int] = (1, 2, 2, 2)
    # On the way down.
    blocks_per_resolution: int = 2
    # Sides at which blocks have self-attention.
    attention_resolutions: Sequence[int] = (16,)

    def __post_init__(self) -> None:
        check_choice("variance", self.variance, VARIANCES)
        check_choice("predicts", self.predicts, PREDICTED)
        # Plain values, as a record on disk holds them.
        for name in ("betas", "multipliers", "attention_resolutions"):
            value = getattr(self, name)
            value = list(value) if isinstance(value, tuple) else value
            object.__setattr__(self, name, value)
        if not isinstance(self.clip, bool):
            raise UserError(f"clip: expected True or False, got {self.clip!r}")

    @property
    def upper(self) -> bool:
        """Whether the variance of p is beta_t."""
        return self.variance == UPPER

    def make_schedule(self) -> NoiseSchedule:
        """Returns the schedule; see `distributions.noise_schedule.make_schedule`."""
        return make_schedule(
            self.num_levels, self.schedule, self.first_beta, self.last_beta, self.betas
        )
