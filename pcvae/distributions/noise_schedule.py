"""The noise schedule of a diffusion model and all that follows from it, in float64."""

from collections.abc import Sequence

import numpy as np

from pcvae.checks import check_choice, check_integer
from pcvae.errors import UserError

# The linear schedule of Ho et al. (2020), section 4.
PUBLISHED_STEPS = 1000
FIRST_BETA, LAST_BETA = 1e-4, 0.02
LINEAR, LOG_SNR = "linear", "log_snr"


class NoiseSchedule:
    """q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I) for t = 1 ... T.

    So q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I), and q(x_{t-1} | x_t, x_0) is a Gaussian
    of variance betatilde_t whose mean is linear in x_0 and x_t (Ho et al. 2020, eq. 4 to 7). Every
    array is float64 [T]; the number of step t stands at index t - 1, and abar_0 = 1.

    Args:
        betas: [T], each above 0 and below 1.

    Raises:
        UserError: they are not.
    """

    def __init__(self, betas: Sequence[float] | np.ndarray) -> None:
        try:
            values = np.asarray(betas, np.float64)
        except (TypeError, ValueError):
            values = np.zeros(())
        if values.ndim != 1 or not len(values) or not ((values > 0.0) & (values < 1.0)).all():
            raise UserError(
                "betas: expected one number above 0 and below 1 for each step, got "
                f"{_in_short(values, betas)}"
            )
        self.betas = values
        log_kept = np.cumsum(np.log1p(-values))
        self.abar = np.exp(log_kept)
        self.noise_variances = -np.expm1(log_kept)  # 1 - abar, with all digits of a small one
        self.snr = self.abar / self.noise_variances
        before, noise_before = np.append(1.0, self.abar[:-1]), np.append(0.0, self.noise_variances)
        noise_before = noise_before[:-1]
        # Of q(x_{t-1} | x_t, x_0): the weights of x_0 and x_t in its mean, and its variance.
        self.image_weights = np.sqrt(before) * values / self.noise_variances
        self.state_weights = np.sqrt(1.0 - values) * noise_before / self.noise_variances
        self.posterior_variances = values * noise_before / self.noise_variances

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.betas)

    def rate_of_mse(self, upper: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Returns by what line the rate of a step follows from the error of an estimate.

        KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) per dimension, where p has xhat for x_0, is

            least_t + slope_t mean((x_0 - xhat)^2),

        for p of variance betatilde_t with least_t = 0 and slope_t = (snr_{t-1} - snr_t) / 2.

        Args:
            upper: whether the variance of p is beta_t instead.

        Returns:
            The two arrays for t = 2 ... T, [T - 1]: nats per dimension, and the same for an error.
        """
        of_q = self.posterior_variances[1:]
        of_p = self.betas[1:] if upper else of_q
        least = 0.5 * (np.log(of_p / of_q) + of_q / of_p - 1.0)
        return least, 0.5 * np.square(self.image_weights[1:]) / of_p


def linear_schedule(
    num_steps: int = PUBLISHED_STEPS,
    first_beta: float | None = None,
    last_beta: float | None = None,
) -> NoiseSchedule:
    """Returns betas that grow linearly, those of Ho et al. (2020) for 1000 steps.

    For another number of steps the published ends are scaled by 1000 / T (ours): the noise that is
    added in all stays about the same.

    Args:
        num_steps: T.
        first_beta: beta_1; None for 1e-4 * 1000 / T.
        last_beta: beta_T; None for 0.02 * 1000 / T.

    Raises:
        UserError: a beta is not above 0 and below 1, as the scaled ones of fewer than 21 steps.
    """
    num_steps = check_integer("num_levels", num_steps, 1)
    scale = PUBLISHED_STEPS / num_steps
    first = scale * FIRST_BETA if first_beta is None else first_beta
    last = scale * LAST_BETA if last_beta is None else last_beta
    for name, beta in (("first_beta", first), ("last_beta", last)):
        if not _is_share(beta):
            raise UserError(
                f"{name}: expected a number above 0 and below 1, got {beta!r} for "
                f"num_levels={num_steps}: give another {name} (by default it grows as levels get "
                "fewer), or more levels"
            )
    return NoiseSchedule(np.linspace(first, last, num_steps))


def log_snr_schedule(num_steps: int) -> NoiseSchedule:
    """Returns betas by which the logarithm of the signal-to-noise ratio falls linearly (ours).

    From that of the published first step, 9999, to that of the last one, 4.0e-5. With few steps the
    bound is tighter than with the linear betas, whose first steps are then far apart.

    Args:
        num_steps: T, at least 2.
    """
    num_steps = check_integer("num_levels", num_steps, 2)
    published = linear_schedule()
    snr = np.geomspace(published.snr[0], published.snr[-1], num_steps)
    # The share of the signal's power that a step keeps, less 1.
    log_kept = -np.log1p(1.0 / snr)
    return NoiseSchedule(-np.expm1(np.diff(log_kept, prepend=0.0)))


def make_schedule(
    num_levels: int | None = None,
    schedule: str = LINEAR,
    first_beta: float | None = None,
    last_beta: float | None = None,
    betas: Sequence[float] | None = None,
) -> NoiseSchedule:
    """Returns the schedule of given betas, or else one of a name.

    Args:
        num_levels: T; None for as many as there are betas, or 1000.
        schedule: "linear" or "log_snr"; see `linear_schedule` and `log_snr_schedule`.
        first_beta: of the linear schedule.
        last_beta: of the linear schedule.
        betas: [T], or None.

    Raises:
        UserError: the arguments contradict each other, or are out of range.
    """
    is_linear = check_choice("schedule", schedule, (LINEAR, LOG_SNR)) == LINEAR
    has_ends = first_beta is not None or last_beta is not None
    if has_ends and not (is_linear and betas is None):
        raise UserError(
            "first_beta, last_beta: expected them with schedule='linear' and no betas alone"
        )
    if betas is None:
        num_levels = PUBLISHED_STEPS if num_levels is None else num_levels
        if is_linear:
            return linear_schedule(num_levels, first_beta, last_beta)
        return log_snr_schedule(num_levels)
    if not is_linear:
        raise UserError(f"schedule: expected none beside betas, got {schedule!r}")
    made = NoiseSchedule(betas)
    if num_levels not in (None, made.num_steps):
        raise UserError(
            f"betas: expected one for each of num_levels={num_levels}, got {made.num_steps}"
        )
    return made


def _is_share(beta):
    return isinstance(beta, int | float) and not isinstance(beta, bool) and 0.0 < beta < 1.0


def _in_short(values, given):
    """Returns what is wrong with some betas, in a few words."""
    if values.ndim != 1 or not len(values):
        return " ".join(repr(given).split())[:60]
    step = int(np.argmin((values > 0.0) & (values < 1.0)))
    return f"{values[step]:g} for step {step + 1}"
