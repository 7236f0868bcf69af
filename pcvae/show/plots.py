"""Plots of rates and distortions: for PNG files, for TensorBoard and for pages."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pcvae import units
from pcvae.quantities import RATE, bounds_prefixes, group_name, rates_from
from pcvae.show.figures import GRID_COLOUR, MUTED_COLOUR, own_settings, pixels, plain_text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
# decoder of a row -> (what the legend says, marker, size, line)
_DECODERS = {
    "refit": ("decoder refitted, q frozen", "o", 7, "-"),
    "own": ("own decoder", "*", 12, "none"),
    "prior": ("prior's means below K (upper bound)", ".", 5, ":"),
}
_LABELS = {
    "distortion_mse": "mean squared error on [-1, 1]",
    "psnr_db": "PSNR (dB, mean over images)",
}
MAX_MARKERS = 50  # of one decoder: more of them are a line
# Rates of coarse prefixes span orders of magnitude and may be zero: the axis is linear up to the
# first of these that leaves something below it, and logarithmic beyond.
_LINEAR_UP_TO = (1e-4, 1e-3, 1e-2, 1e-1)


@own_settings()
def rate_distortion_plot(
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    names: Sequence[str] = ("distortion_mse", "psnr_db"),
    rate_unit: str = RATE.unit,
    output: Callable[[Figure], Any] = pixels,
) -> Any:
    """Plots distortion against rate: the mean squared error at the left, the PSNR at the right.

    The colour tells the curve, marker and line tell the decoder; bars are standard errors.

    Args:
        curves: {label: rows of `rate_distortion_curve`}.
        names: which of ``distortion_mse`` and ``psnr_db`` are plotted, from left to right.
        rate_unit: "bits/dim" or "nats/dim", of the axis below; the other stands above.
        output: `figures.pixels` or `figures.svg`.

    Returns:
        What ``output`` returns; by default uint8 [height, width, 3].
    """
    figure = Figure(figsize=(5.5 * len(names), 5), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    used, (own, other) = set(), rates_from(rate_unit)
    curves = {label: _in_unit(rows, own) for label, rows in curves.items()}
    for (label, rows), colour in zip(curves.items(), itertools.cycle(COLOURS), strict=False):
        for decoder in _DECODERS:
            points = [row for row in rows if row["decoder"] == decoder]
            if points:
                used.add(decoder)
                for axis, name in zip(axes, names, strict=True):
                    _draw_points(axis, points, name, decoder, colour)
        bounds = (
            " (rates below all levels: upper bounds)" if any(map(bounds_prefixes, rows)) else ""
        )
        axes[0].plot([], [], color=colour, linewidth=5, label=plain_text(label) + bounds)
    for decoder in (name for name in _DECODERS if name in used):
        text, marker, size, line = _DECODERS[decoder]
        axes[0].plot([], [], color=MUTED_COLOUR, marker=marker, ms=size, linestyle=line, label=text)
    everything = [row for rows in curves.values() for row in rows]
    rates = [row["rate"] or 0.0 for row in everything]
    for axis in axes:
        _rate_axis(axis, rates)
        axis.set_xlabel(f"rate of the prefix $R_K$ ({own.unit})")
        above = axis.twiny()
        _rate_axis(above, rates, _PER_BIT[other.unit] / _PER_BIT[own.unit])
        above.set_xlabel(other.unit)
        axis.grid(True, which="major", color=GRID_COLOUR)
        axis.set_axisbelow(True)
    for axis, name in zip(axes, names, strict=True):
        axis.set_ylabel(_LABELS[name])
        drawn = [row for row in everything if row["rate"] is not None]
        if name == "distortion_mse" and any(row[name] for row in drawn):
            logarithmic_axis(axis)
    figure.legend(loc="outside lower center", ncols=3 if len(names) > 1 else 1, frameon=False)
    return output(figure)


@own_settings()
def rate_by_resolution_plot(
    rates: Mapping[str, Mapping[int | str, Mapping[str, Any]]],
    rate_unit: str = RATE.unit,
    output: Callable[[Figure], Any] = pixels,
) -> Any:
    """Plots how many bits each resolution, or other group of levels, carries.

    Args:
        rates: {label: what `rate_by_resolution` returns}.
        rate_unit: "bits/dim" or "nats/dim", of the axis at the left; the other stands at the right.
        output: `figures.pixels` or `figures.svg`.

    Returns:
        What ``output`` returns; by default uint8 [height, width, 3].
    """
    found = {side for by_side in rates.values() for side in by_side}
    sides = sorted(found, key=lambda side: (isinstance(side, str), side))
    named = any(isinstance(side, str) for side in sides)
    width = max(5.5, (0.8 if named else 0.5) * len(sides) * len(rates))
    figure = Figure(figsize=(width, 4.0), layout="constrained")
    axis, (own, other) = figure.subplots(), rates_from(rate_unit)
    width = 0.8 / len(rates)
    for index, (label, by_side) in enumerate(rates.items()):
        places = np.arange(len(sides)) + (index - (len(rates) - 1) / 2) * width
        nothing = {RATE.key: 0.0}
        values = _in_unit([by_side.get(side, nothing) for side in sides], own)
        heights = [_number(value["rate"]) for value in values]
        errors = [_error(value, "rate") for value in values]
        bars = axis.bar(
            places,
            heights,
            width,
            yerr=errors if any(errors) else None,
            capsize=3,
            label=plain_text(label),
            color=COLOURS[index % len(COLOURS)],
        )
        if len(rates) <= 2:
            axis.bar_label(bars, [_short(height) for height in heights], padding=2, fontsize=9)
    axis.margins(y=0.12)
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))  # what is not exact may be negative
    axis.set_xticks(range(len(sides)), map(group_name, sides), rotation=45 if named else 0)
    axis.set_xlabel("levels of latents" if named else "resolution of the latents")
    axis.set_ylabel(f"rate ({own.unit} of the image)")
    right, ratio = axis.twinx(), _PER_BIT[other.unit] / _PER_BIT[own.unit]
    right.set_ylim(*(ratio * limit for limit in axis.get_ylim()))
    right.set_ylabel(other.unit)
    axis.grid(True, axis="y", color=GRID_COLOUR)
    axis.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return output(figure)


@own_settings()
def frechet_plot(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Plots the Frechet distance of two-stage models against the distortion of their stage 1.

    Args:
        rows: those of table 2; see `studies.table2`.

    Returns:
        uint8 [height, width, 3].
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axis = figure.subplots()
    for seed, colour in zip(
        sorted({row["seed"] for row in rows}), itertools.cycle(COLOURS), strict=False
    ):
        own = sorted(
            (row for row in rows if row["seed"] == seed),
            key=lambda row: row["stage1_distortion_mse"],
        )
        axis.plot(
            [row["stage1_distortion_mse"] for row in own],
            [row["frechet_distance"] for row in own],
            color=colour,
            marker="o",
            label=f"two stages, seed {seed}",
        )
        axis.axhline(
            own[0]["baseline_frechet_distance"],
            color=colour,
            linestyle=":",
            label=f"end to end, seed {seed}",
        )
    axis.set_xlabel("distortion of stage 1 (mean squared error on [-1, 1])")
    axis.set_ylabel("Frechet distance of samples")
    axis.set_ylim(bottom=0.0)
    axis.grid(True, color=GRID_COLOUR)
    axis.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return pixels(figure)


def _draw_points(axis, rows, name, decoder, colour):
    """Draws the rows of one decoder with error bars; a value that is not finite is left out.

    An infinite PSNR stands at the upper edge and says so.
    """
    _, marker, size, line = _DECODERS[decoder]
    rows = [row for row in rows if None not in (row["rate"], row[name])]
    for row in (row for row in rows if row[name] == math.inf):
        at, edge = (row["rate"], 1.0), axis.get_xaxis_transform()
        axis.plot(*at, color=colour, marker="^", ms=8, clip_on=False, transform=edge)
        offset = {"xytext": (0, -8), "textcoords": "offset points", "va": "top", "ha": "right"}
        axis.annotate("infinite: no error", at, xycoords=edge, fontsize=9, **offset)
    # A squared error of zero has no place on a logarithmic axis.
    rows = [row for row in rows if row[name] != math.inf and (name == "psnr_db" or row[name] > 0.0)]
    if len(rows) > MAX_MARKERS:
        marker, line = None, "-"
    for row in rows:
        if "label" in row:
            at = (row["rate"], row[name])
            axis.annotate(
                plain_text(row["label"]), at, xytext=(7, 5), textcoords="offset points", fontsize=9
            )
    axis.errorbar(
        [row["rate"] for row in rows],
        [row[name] for row in rows],
        xerr=[_error(row, "rate") for row in rows],
        yerr=[_error(row, name) for row in rows],
        color=colour,
        marker=marker,
        markersize=size,
        linestyle=line,
        linewidth=1.3,
        elinewidth=1.0,
        capsize=2,
    )


_WITHIN_A_DECADE = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


def logarithmic_axis(axis: Axes) -> None:
    """Makes the vertical axis logarithmic, with numbers as people write them."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    decades = math.log10(high / low)
    # Less than a decade would show one number or none; many would write one over the other.
    subs = (1.0,) if decades > 4 else (1.0, 2.0, 5.0) if decades > 1 else _WITHIN_A_DECADE
    axis.yaxis.set_major_locator(LogLocator(10, subs=subs))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(_short))


_PER_BIT = {"bits/dim": 1.0, "nats/dim": units.bits_to_nats(1.0)}


def _in_unit(rows, quantity):
    """Returns rows with ``rate``, the one that they hold in bits/dim, and its standard error."""
    factor = _PER_BIT[quantity.unit]
    names = {"rate": RATE.key, "rate_stderr": f"{RATE.key}_stderr"}
    found = [{name: row.get(key) for name, key in names.items()} for row in rows]
    return [
        {**row, **{name: value and factor * value for name, value in own.items()}}
        for row, own in zip(rows, found, strict=True)
    ]


def _rate_axis(axis, rates, ratio=1.0):
    """Chooses a linear rate axis, or one that is linear at zero and logarithmic beyond.

    With a ratio it is that of the same rates in another unit, so many of which are one of theirs.
    """
    positive, least = [rate for rate in rates if rate > 0.0], 1.08 * min([0.0, *rates])
    top = max(positive, default=1.0)
    inner = sorted(rate for rate in positive if rate > 1e-3 * top)
    if len(inner) < 2 or inner[-1] < 20 * inner[0]:
        axis.set_xlim(ratio * least, ratio * 1.08 * top)  # room for a marker at the end
        return
    threshold = next((limit for limit in _LINEAR_UP_TO if limit >= inner[0]), _LINEAR_UP_TO[-1])
    axis.set_xscale("symlog", linthresh=ratio * threshold, linscale=0.6)
    first, last = ratio * threshold, ratio * 1.25 * top
    axis.set_xlim(ratio * min(-0.05 * threshold, least), last)  # room for a marker at zero
    decades = range(math.floor(math.log10(1.01 * first)), math.ceil(math.log10(last)))
    ticks = [c * 10.0**decade for decade in decades for c in (1, 2, 5)]
    axis.set_xticks([0.0, *(tick for tick in ticks if 0.99 * first <= tick <= last)])
    axis.xaxis.set_major_formatter(FuncFormatter(_short))
    axis.xaxis.set_minor_locator(NullLocator())


def _short(value, _position=None):
    return f"{value:.3g}"


def _number(value):
    return math.nan if value is None else value


def _error(row, name):
    """The standard error of a mean, 0 where it is unknown."""
    return row.get(f"{name}_stderr") or 0.0
