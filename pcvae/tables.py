"""Numbers with their errors, and rows of text as a table."""

import math
from collections.abc import Collection, Sequence


def number_text(value: float | None, error: float | None = None, digits: int = 4) -> str:
    """Returns a number with its standard error; None is what was not finite, or not measured."""
    if value is None:
        return "not finite"
    if value == math.inf:
        return "infinite"
    text = _decimal(value, digits)
    return text if error is None else f"{text} +- {_decimal(error, digits)}"


def _decimal(number: float, digits: int) -> str:
    """A number with that many decimals; from a million on they would say nothing."""
    return f"{number:.{digits}f}" if abs(number) < 1e6 else f"{number:.4g}"


def text_table(rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> str:
    """Aligns rows of texts.

    Args:
        rows: list of equally long sequences of texts, the header first.
        left: the columns that are aligned at the left; the others at the right.

    Returns:
        One text, a line for each row.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
