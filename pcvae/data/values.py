"""Which value is white: one rule for whole numbers in arrays and for pictures of 16 bits.

Images are uint8, 0 to 255. Whole numbers of more than 8 bits say by their type only how they are
stored: 12-bit values in 16 bits are usual, and nearly black if 65535 is taken for white. So, for
the largest value found in a source,

- up to 255 the values are kept (but those of at most 16 are refused: they are classes, or 4 bits);
- from 32768 to 65535 they are 16 bits, and 65535 becomes 255;
- otherwise it is not known, and they are refused, with the likely ``max_value`` in the message.

``max_value`` says which value is white, whatever the rest: values are multiplied by 255 / max_value
and rounded, and larger ones are refused.
"""

from typing import Any

import numpy as np

from pcvae.checks import LARGEST_NUMBER, check_number
from pcvae.errors import UserError

WANTED_VALUES = "expected whole numbers in 0..255 or floats in [0, 1]"
MAX_OF_OTHER_SCALES = 16  # 0 and 1, classes, 4 bits, scikit-learn's digits
WHITE_OF_16_BITS = 65535
LOWEST_HALF = 32768  # a brightest value below that uses no more than 15 bits
# Half a level of 8 bits: what is so far outside of [0, 1] rounds to black or white as it should.
ROUNDING = 0.5 / 255
FLAG = "--gin.data.from_spec.max_value"
REMEDY = "scale them to 0..255 and save as uint8"


def check_max_value(value: Any) -> float | None:
    """Returns which value is white, or None for the rule; raises UserError if it cannot be."""
    if value is None:
        return None
    return check_number("max_value", value, 0.0, LARGEST_NUMBER, above=True)


def white_of_whole_numbers(
    low: int, high: int, max_value: float | None, holder: str, kind: Any
) -> float:
    """Returns the value that becomes 255.

    Args:
        low: the smallest value of the source.
        high: its largest one.
        max_value: what the user says, or None.
        holder: the source, for the error.
        kind: the type of the values, for the error.

    Raises:
        UserError: it is not known, or some values are outside.
    """
    found = f"{holder} holds {kind} values from {low} to {high}"
    if low < 0 or (max_value is not None and high > max_value):
        wanted = WANTED_VALUES if max_value is None else f"expected 0 to max_value={max_value:g}"
        raise UserError(f"{found}; {wanted}; {REMEDY}")
    if max_value is not None:
        return max_value
    if LOWEST_HALF <= high <= WHITE_OF_16_BITS:
        return WHITE_OF_16_BITS
    if high > 255:
        bits = int(high).bit_length()
        raise UserError(
            f"{found}; {WANTED_VALUES}, or 16 bits that reach {LOWEST_HALF}: say which value is "
            f"white, {FLAG}={2**bits - 1} for {bits} bits, or {REMEDY}"
        )
    if high <= MAX_OF_OTHER_SCALES:
        factor = f", for example by images * {255 // high}" if high else ""
        raise UserError(
            f"{found}, so dark in 0..255 that they must be on another scale; {REMEDY}{factor}"
        )
    return 255


def white_of_floats(
    low: float, high: float, max_value: float | None, holder: str, kind: Any
) -> float:
    """Returns the value that becomes 255, as `white_of_whole_numbers` does: 1 by default.

    Values may be outside by `ROUNDING` of the range.
    """
    if np.isnan(low) or np.isnan(high):
        raise UserError(f"{holder} holds NaN; {WANTED_VALUES}")
    white = 1.0 if max_value is None else max_value
    if not (low >= -ROUNDING * white and high <= (1.0 + ROUNDING) * white):
        wanted = WANTED_VALUES if max_value is None else f"expected 0 to max_value={max_value:g}"
        say = f"say which value is white by {FLAG}, or " if 0 <= low <= high < np.inf else ""
        raise UserError(
            f"{holder} holds {kind} values from {_digits(low)} to {_digits(high)}; {wanted}; "
            f"{say}{REMEDY}"
        )
    return white


def _digits(value):
    """Returns a float as text with as many digits as tell it from others of its type."""
    short = f"{value:g}"
    return short if float(short) == float(value) else str(value)


def to_uint8(values: np.ndarray, white: float) -> np.ndarray:
    """Returns values as uint8: 0 stays, ``white`` becomes 255; rounded, and clipped at the ends."""
    if white == 255 and values.dtype.kind in "bui":
        return values.astype(np.uint8)
    scaled = values.astype(np.float64) * (255.0 / white)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
