"""What the keys of ``results/evaluation.json`` mean: name, unit, and how many digits are shown."""

from typing import NamedTuple

from pcvae.tables import number_text, text_table


class Quantity(NamedTuple):
    """A number of an evaluation."""

    key: str
    name: str
    unit: str  # empty for a number without a unit
    digits: int
    meaning: str


QUANTITIES = (
    Quantity(
        "negative_elbo_bits_per_dim",
        "negative ELBO",
        "bits/dim",
        4,
        "reconstruction plus rate: an upper bound on -log p(x); lower is better",
    ),
    Quantity("negative_elbo_nats", "negative ELBO", "nats/image", 2, "the same in nats"),
    Quantity(
        "iw_nll_bits_per_dim",
        "importance-weighted bound",
        "bits/dim",
        4,
        "a tighter upper bound on -log p(x), from several posterior samples",
    ),
    Quantity("iw_nll_nats", "importance-weighted bound", "nats/image", 2, "the same in nats"),
    Quantity(
        "effective_sample_size",
        "effective sample size",
        "samples",
        2,
        "of the importance-weighted bound; near 1 says that it is loose",
    ),
    Quantity("nll_bits_per_dim", "reconstruction term", "bits/dim", 4, "-log p(x | z)"),
    Quantity("nll_nats", "reconstruction term", "nats/image", 2, "the same in nats"),
    Quantity("rate_bits_per_dim", "rate", "bits/dim", 4, "KL(q || p) of all levels"),
    Quantity("rate_nats", "rate", "nats/image", 2, "the same in nats"),
    Quantity("rate_nats_per_dim", "rate", "nats/dim", 5, "the same, per dimension"),
    Quantity(
        "distortion_mse", "distortion", "mse on [-1, 1]", 5, "of the reconstruction, per dimension"
    ),
    Quantity("psnr_db", "PSNR", "dB", 2, "of the reconstruction, mean over images"),
    Quantity("ssim", "SSIM", "", 4, "structural similarity of the reconstruction; 1 is equality"),
    Quantity("ms_ssim", "MS-SSIM", "", 4, "SSIM over five scales; 1 is equality"),
    Quantity("lpips", "LPIPS", "", 4, "distance of deep features to the reconstruction; 0 is best"),
    Quantity(
        "frechet_distance", "Frechet distance", "", 3, "samples against images, in feature space"
    ),
    Quantity("kernel_distance", "kernel distance", "", 5, "the same by a polynomial kernel"),
)
# Counts and settings: they belong to the protocol.
_SETTINGS = {"num_images", "seed", "importance_samples"}
_UNITS = {
    "_bits_per_dim": "bits/dim",
    "_nats_per_dim": "nats/dim",
    "_nats": "nats",
    "_mse": "mse on [-1, 1]",
    "_psnr_db": "dB",
    "_db": "dB",
}


class Measured(NamedTuple):
    """A quantity with the value that a record holds."""

    quantity: Quantity
    value: float | None
    error: float | None  # standard error of the mean; None where it is unknown
    reason: str | None  # why there is no value

    @property
    def text(self):
        """The value with its standard error; "none" where there is a reason for that."""
        if self.value is None and self.reason:
            return "none"
        return number_text(self.value, self.error, self.quantity.digits)


def measured(record):
    """Returns the numbers of a record, known ones first, each a `Measured`.

    A number that this version does not know is shown by its key, with the unit that ends it.

    Args:
        record: a dict such as ``results/evaluation.json``.
    """
    known = {quantity.key: quantity for quantity in QUANTITIES}
    others = [
        Quantity(key, key, _unit(key), 5, "")
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


def evaluation_table(record):
    """Returns the numbers of a record as a text table with units and standard errors."""
    rows = [("quantity", "value", "unit")]
    for item in measured(record):
        # A reason is long: it stands last, where it widens no column.
        known = item.value is not None or item.reason is None
        rows.append((item.quantity.name, item.text, item.quantity.unit if known else item.reason))
    return text_table(rows, left=(0, 1, 2))


def _unit(key):
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
