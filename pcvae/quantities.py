"""The one table of what is measured: key in records, tag in TensorBoard, name, unit, digits."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pcvae.tables import number_text, text_table


class Quantity(NamedTuple):
    """A number of an evaluation or of training."""

    key: str  # in records such as ``results/evaluation.json``
    name: str
    unit: str  # empty for a number without a unit
    digits: int  # that are shown
    meaning: str = ""
    tag: str = ""  # in TensorBoard and in ``summaries/*.jsonl``; empty where it is not logged
    logarithmic: bool = False  # how it is drawn

    def text(self, record: Mapping[str, Any]) -> str:
        """Returns the value that a record holds, with its standard error."""
        return number_text(record[self.key], record.get(f"{self.key}_stderr"), self.digits)

    @property
    def title(self) -> str:
        """The name with the unit, over a column."""
        return f"{self.name} ({self.unit})"


NEGATIVE_ELBO = Quantity(
    "negative_elbo_bits_per_dim",
    "negative ELBO",
    "bits/dim",
    4,
    "reconstruction plus rate: an upper bound on -log p(x); lower is better",
    "negative_elbo/bits_per_dim",
)
IW_NLL = Quantity(
    "iw_nll_bits_per_dim",
    "importance-weighted bound",
    "bits/dim",
    4,
    "a tighter upper bound on -log p(x), from several posterior samples",
    "iw_nll/bits_per_dim",
)
NLL = Quantity(
    "nll_bits_per_dim", "reconstruction term", "bits/dim", 4, "-log p(x | z)", "nll/bits_per_dim"
)
RATE = Quantity(
    "rate_bits_per_dim",
    "rate",
    "bits/dim",
    4,
    "KL(q || p) of all levels",
    "rate/total_bits_per_dim",
)
RATE_NATS_PER_DIM = Quantity("rate_nats_per_dim", "rate", "nats/dim", 5, "the same, per dimension")
DISTORTION = Quantity(
    "distortion_mse",
    "distortion",
    "mse on [-1, 1]",
    5,
    "of the reconstruction, per dimension",
    "distortion/mse",
    logarithmic=True,
)
PSNR = Quantity("psnr_db", "PSNR", "dB", 2, "of the reconstruction, mean over images")
# The rate per dimension, by unit.
RATES = {quantity.unit: quantity for quantity in (RATE, RATE_NATS_PER_DIM)}
# A Frechet distance and its parts, whose first levels end at a prefix.
_FRECHET = {
    "frechet_distance": ("", "samples against images, in feature space"),
    "frechet_prior_part": (", prior part", "samples against such with first levels of posteriors"),
    "frechet_prefix_prior_part": (
        ", prior part, first levels alone",
        "the same by what the first levels alone make",
    ),
    "frechet_decoder_part": (
        ", decoder part",
        "samples with first levels of posteriors, to images",
    ),
}
_FRECHET_DISTANCES = tuple(
    Quantity(f"{key}{end}", f"Frechet distance{part}{after}", "", 3, meaning)
    for end, after in (("", ""), ("_averaged_2x2", ", after 2x2 averaging"))
    for key, (part, meaning) in _FRECHET.items()
)
# Of an evaluation, in the order in which they are shown.
QUANTITIES = (
    NEGATIVE_ELBO,
    Quantity("negative_elbo_nats", "negative ELBO", "nats/image", 2, "the same in nats"),
    IW_NLL,
    Quantity("iw_nll_nats", "importance-weighted bound", "nats/image", 2, "the same in nats"),
    Quantity(
        "effective_sample_size",
        "effective sample size",
        "samples",
        2,
        "of the importance-weighted bound; near 1 says that it is loose",
    ),
    NLL,
    Quantity("nll_nats", "reconstruction term", "nats/image", 2, "the same in nats"),
    RATE,
    Quantity("rate_nats", "rate", "nats/image", 2, "the same in nats"),
    RATE_NATS_PER_DIM,
    DISTORTION,
    PSNR,
    Quantity("ssim", "SSIM", "", 4, "structural similarity of the reconstruction; 1 is equality"),
    Quantity("ms_ssim", "MS-SSIM", "", 4, "SSIM over five scales; 1 is equality"),
    Quantity("lpips", "LPIPS", "", 4, "distance of deep features to the reconstruction; 0 is best"),
    *_FRECHET_DISTANCES,
    Quantity("legible_share", "legible share", "", 3, "samples whose digits are all recognised"),
    Quantity("legible_share_of_data", "legible share of the data", "", 3, "the same of images"),
    Quantity("kernel_distance", "kernel distance", "", 5, "the same by a polynomial kernel"),
)

# Of training alone.
GRADIENT_NORM = Quantity(
    "gradient_norm",
    "gradient norm",
    "global norm",
    3,
    tag="optimizer/gradient_norm",
    logarithmic=True,
)
LEARNING_RATE = Quantity(
    "learning_rate", "learning rate", "per update", 5, tag="optimizer/learning_rate"
)
SKIPPED_UPDATES = Quantity(
    "skipped_updates", "skipped updates", "updates so far", 0, tag="optimizer/skipped_updates"
)
IMAGES_PER_SECOND = Quantity(
    "images_per_second", "speed", "images/s", 0, tag="throughput/images_per_second"
)
DATA_WAIT_FRACTION = Quantity(
    "data_wait_fraction", "data wait", "of the time", 3, tag="throughput/data_wait_fraction"
)
# What a run draws of its training, panel by panel.
CURVES = (
    *(NEGATIVE_ELBO, NLL, RATE, DISTORTION),
    *(GRADIENT_NORM, LEARNING_RATE, SKIPPED_UPDATES, IMAGES_PER_SECOND),
)

# Of a `SpectralTerm`: the sum of the largest singular values, without the weight.
SPECTRAL_SUM = "spectral/sum_of_largest_singular_values"
# What is said wherever rates are shown of a model whose ``rates_of_prefixes_are_exact`` is false.
UPPER_BOUNDS = (
    "latents are inferred upwards: the rate of a prefix below all levels is an upper bound, and "
    "that of a single level may be negative"
)
# By which records of evaluations, and rows of curves, say so.
EXACT_PREFIXES, IS_UPPER_BOUND = "rates_of_prefixes_are_exact", "rate_is_upper_bound"
LAGRANGE_MULTIPLIER = "lagrange/multiplier"
CONSTRAINT_GAP = "lagrange/constraint_gap"
CONSTRAINT_TARGET = "lagrange/target"
PREFIX_RECONSTRUCTION = "images/prefix_reconstruction"
CONFIGURATION = "configuration"

# Of a model of so many levels, or more, tables and logs show groups of them.
MANY_LEVELS = 100

# Counts and settings: they belong to the protocol.
_SETTINGS = {"num_images", "seed", "step", "importance_samples"}
_UNITS = {
    "_bits_per_dim": "bits/dim",
    "_nats_per_dim": "nats/dim",
    "_nats": "nats",
    "_mse": "mse on [-1, 1]",
    "_db": "dB",
}


def rates_from(unit: str) -> tuple[Quantity, Quantity]:
    """Returns the rate per dimension in a unit, bits/dim or nats/dim, and in the other one."""
    (other,) = RATES.keys() - {unit}
    return RATES[unit], RATES[other]


def rate_of_resolution_tag(resolution: int) -> str:
    """Returns the tag of the rate of all levels of a resolution: ``rate/resolution_008``."""
    return f"rate/resolution_{resolution:03d}"


def rate_of_group_tag(group: int | str) -> str:
    """Returns the tag of the rate of a group, a resolution or a name: ``rate/levels_00-09``."""
    return rate_of_resolution_tag(group) if isinstance(group, int) else f"rate/levels_{group}"


def group_name(group: int | str) -> str:
    """Returns what people read of a group of levels: ``8x8`` for a resolution, or its name."""
    return f"{group}x{group}" if isinstance(group, int) else group


def rate_of_level_tag(level: int) -> str:
    """Returns the tag of the rate of a level in nats per image: ``rate/level_017_nats``."""
    return f"rate/level_{level:03d}_nats"


def share_tag(level: int) -> str:
    """Returns the tag of a level's share in the rate of an image: ``share/level_017_percent``."""
    return f"share/level_{level:03d}_percent"


def prefix_distortion_tag(num_levels: int) -> str:
    """Returns the tag of the distortion of a prefix: ``distortion/prefix_004_mse``."""
    return f"distortion/prefix_{num_levels:03d}_mse"


def constraint_tag(tag: str, num_levels: int | None = None) -> str:
    """Returns the tag of one of several constraints: ``lagrange/multiplier_prefix_004``."""
    return tag if num_levels is None else f"{tag}_prefix_{num_levels:03d}"


def constrained_prefixes(tags: Iterable[str]) -> list[int | None]:
    """Returns the prefixes whose constraints have a multiplier among some tags.

    The inverse of `constraint_tag`: numbers of levels, ascending, after None for all levels.
    """
    pattern = re.compile(rf"{LAGRANGE_MULTIPLIER}(?:_prefix_(\d+))?")
    found = [match for match in map(pattern.fullmatch, tags) if match]
    prefixes = {int(match[1]) if match[1] else None for match in found}
    return sorted(prefixes, key=lambda prefix: -1 if prefix is None else prefix)


def samples_tag(temperature: float) -> str:
    """Returns the tag of the samples at a temperature: ``images/samples_t1.0``."""
    return f"images/samples_t{float(temperature)}"


def rate_notes(record: Mapping[str, Any]) -> list[str]:
    """Returns what has to be said of the rates in an evaluation or in a row of a curve."""
    return [UPPER_BOUNDS] if bounds_prefixes(record) else []


def bounds_prefixes(record: Mapping[str, Any]) -> bool:
    """Says whether rates of prefixes are upper bounds, of an evaluation or of a row of a curve."""
    return not record.get(EXACT_PREFIXES, True) or record.get(IS_UPPER_BOUND, False)


class Measured(NamedTuple):
    """A quantity with the value that a record holds."""

    quantity: Quantity
    value: float | None
    error: float | None  # standard error of the mean; None where it is unknown
    reason: str | None  # why there is no value

    @property
    def text(self) -> str:
        """The value with its standard error; "none" where there is a reason for that."""
        if self.value is None and self.reason:
            return "none"
        return number_text(self.value, self.error, self.quantity.digits)


def measured(record: Mapping[str, Any]) -> list[Measured]:
    """Returns the numbers of a record, known ones first.

    A number that this version does not know is shown by its key, with the unit that ends it.

    Args:
        record: a dict such as ``results/evaluation.json``.
    """
    known = {quantity.key for quantity in QUANTITIES}
    others = [
        Quantity(key, key, _unit(key), 5)
        for key, value in record.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and key not in known
        and key not in _SETTINGS
        and not key.endswith("_stderr")
    ]
    return [
        Measured(
            quantity,
            record[quantity.key],
            record.get(f"{quantity.key}_stderr"),
            record.get(f"{quantity.key}_reason"),
        )
        for quantity in (*QUANTITIES, *others)
        if quantity.key in record
    ]


def evaluation_table(record: Mapping[str, Any]) -> str:
    """Returns the numbers of a record as a text table with units and standard errors."""
    rows = [("quantity", "value", "unit")]
    for item in measured(record):
        # A reason is long: it stands last, where it widens no column.
        known = item.value is not None or item.reason is None
        rows.append((item.quantity.name, item.text, item.quantity.unit if known else item.reason))
    return text_table(rows, left=(0, 1, 2))


def _unit(key: str) -> str:
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
