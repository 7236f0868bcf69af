"""Curves over the steps of a run, one panel for each quantity."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pcvae.show.figures import GRID_COLOUR, MUTED_COLOUR, own_settings, pixels, plain_text
from pcvae.show.plots import COLOURS, logarithmic_axis

MAX_POINTS = 1000  # of a line: a page of a long run stays small


class Line(NamedTuple):
    """A quantity over the steps; None and NaN leave a gap."""

    label: str
    steps: list
    values: list
    colour: int = 0  # index into the plots' colours


_PLACE = (0.17, 0.15, 0.8, 0.75)  # of the axes: left, bottom, width, height; labels fit beside it


class Panel(NamedTuple):
    """Lines that share an axis."""

    title: str
    label: str  # of the axis, with the unit
    lines: list
    logarithmic: bool = False
    target: float | None = None  # a dashed line across
    legend: bool = False


@own_settings()
def curve_plot(panel: Panel, output: Callable[[Figure], Any] = pixels) -> Any:
    """Plots a panel.

    A line of more than `MAX_POINTS` points is drawn by the means of equally long runs of points.

    Args:
        panel: a `Panel` with at least one line.
        output: `figures.pixels` or `figures.svg`.

    Returns:
        What ``output`` returns; by default uint8 [height, width, 3].
    """
    figure = Figure(figsize=(5.5, 3.4))
    # A layout that fits itself to the labels takes two thirds of the time of a report's curves.
    axes = figure.add_axes(_PLACE)
    everything = []
    for line in panel.lines:
        colour = COLOURS[line.colour % len(COLOURS)]
        steps, values = thinned(line.steps, line.values)
        everything.extend(values)
        marker = "o" if len(steps) < 30 else None
        axes.plot(
            steps, values, color=colour, marker=marker, ms=4, lw=1.5, label=plain_text(line.label)
        )
    if panel.target is not None:
        axes.axhline(panel.target, color=MUTED_COLOUR, linestyle="--", lw=1.2, label="target")
    positive = [value for value in everything if value > 0.0]
    if panel.logarithmic and positive:
        logarithmic_axis(axes)
    axes.set_title(panel.title, fontsize=11)
    axes.set_xlabel("step")
    axes.set_ylabel(panel.label)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(True, which="major", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    if panel.legend:
        axes.legend(frameon=False, fontsize=9)
    return output(figure)


def thinned(
    steps: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns steps and values as arrays of at most `MAX_POINTS`, by means of runs of points."""
    steps = np.asarray(steps, float)
    values = np.array([math.nan if value is None else value for value in values], float)
    if len(steps) <= MAX_POINTS:
        return steps, values
    parts = np.array_split(np.arange(len(steps)), MAX_POINTS)
    return (
        np.array([steps[part].mean() for part in parts]),
        np.array([values[part].mean() for part in parts]),
    )
