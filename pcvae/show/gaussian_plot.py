"""The plot of codes for a Gaussian source against the curves that are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pcvae.measure.gaussian_source import Point
from pcvae.show.figures import GRID_COLOUR, own_settings, pixels
from pcvae.show.plots import COLOURS, logarithmic_axis
from pcvae.units import nats_to_bits

_LINES = {"Shannon": "-", "diffusion": "--"}


@own_settings()
def gaussian_plot(
    rows: Sequence[Mapping[str, Any]], curves: Mapping[str, Sequence[Point]]
) -> np.ndarray:
    """Plots distortion against rate at the left, rate over Shannon's at the right.

    Args:
        rows: of the learned codes, those of `studies.gaussian_study`.
        curves: {"Shannon": points, "diffusion": points}, of equal distortions.

    Returns:
        uint8 [height, width, 3].
    """
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    least = np.array([point.rate_nats_per_dim for point in curves["Shannon"]])
    for (name, line), colour in zip(_LINES.items(), ("#000000", COLOURS[0]), strict=True):
        rates = np.array([point.rate_nats_per_dim for point in curves[name]])
        distortions = [point.distortion_mse for point in curves[name]]
        label = "Shannon's curve" if name == "Shannon" else "diffusion (fixed posterior)"
        left.plot(nats_to_bits(rates), distortions, line, color=colour, label=label)
        right.plot(distortions, rates / least, line, color=colour)
    learned = [code for code in dict.fromkeys(row["code"] for row in rows) if code not in _LINES]
    for code, colour, marker in zip(learned, COLOURS[1:], "so^", strict=False):
        own = [row for row in rows if row["code"] == code]
        distortions = [row["distortion_mse"] for row in own]
        style = {"color": colour, "marker": marker, "linestyle": ":"}
        left.plot([row["rate_bits_per_dim"] for row in own], distortions, label=code, **style)
        right.plot(distortions, [row["rate_over_shannon"] for row in own], **style)
    left.set_xscale("log")
    left.set_xlabel("rate of the prefix $R_K$ (bits/dim)")
    left.set_ylabel("distortion $D_K$ (squared error per dimension)")
    right.set_xlabel("distortion $D_K$ (squared error per dimension)")
    right.set_ylabel("rate over Shannon's rate")
    right.invert_xaxis()
    logarithmic_axis(right)
    for axis in (left, right):
        axis.grid(True, color=GRID_COLOUR)
        axis.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return pixels(figure)
