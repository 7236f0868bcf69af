"""Plots show the numbers that they are given, whatever these are."""

import html
import math

import matplotlib
import numpy as np
import pytest
from matplotlib.container import BarContainer

from pcvae.show import rate_by_resolution_plot, rate_distortion_plot, refit_grid
from pcvae.show.figures import pixels, svg
from pcvae.show.plots import COLOURS
from tests.show.cells import ROW, assert_row


def row(num_levels, rate, error, decoder):
    return {
        "num_levels": num_levels,
        "resolution": 4,
        "rate_bits_per_dim": rate,
        "rate_bits_per_dim_stderr": None if rate is None else 0.1 * rate,
        "distortion_mse": error,
        "distortion_mse_stderr": None,
        "psnr_db": None if not error else 10 * np.log10(4 / error),
        "psnr_db_stderr": 0.1,
        "decoder": decoder,
    }


def panels(figure):
    """The axes of a figure but those that repeat a rate in another unit."""
    return [axes for axes in figure.axes if axes.xaxis.label_position == "bottom"]


def drawn(figure):
    """What an axis of a figure shows of each curve: (points, colour), where there are any."""
    assert len(np.unique(pixels(figure))) > 10  # it can be drawn
    return [
        [
            (bars.lines[0].get_xydata(), bars.lines[0].get_color())
            for bars in axes.containers
            if len(bars.lines[0].get_xydata())
        ]
        for axes in panels(figure)
    ]


def figure_of(curves):
    return rate_distortion_plot(curves, output=lambda figure: figure)


@pytest.mark.parametrize(
    "points",
    [
        [(0.1, 0.2), (0.2, 0.1)],
        [(0.0, 0.5), (1e-6, 0.4), (0.01, 0.2), (2.5, 0.001)],
        [(0.0, 0.5)],
        [(0.3, 0.0), (None, 0.2), (0.5, None)],
    ],
)
def test_a_curve_of_any_span_is_drawn(points):
    """All of it but what has no place on an axis: a rate or an error that is none, or zero."""
    rows = [row(k, *point, "refit") for k, point in enumerate(points, start=1)]
    figure = figure_of({"a run": rows})
    errors, decibels = drawn(figure)
    points = [point for point in points if None not in point and point[1] > 0.0]
    for found, expected in (
        (errors, points),
        (decibels, [(rate, 10 * np.log10(4 / error)) for rate, error in points]),
    ):
        assert len(found) == bool(points)
        for values, _ in found:
            np.testing.assert_allclose(values, expected)
    labels = [axes.get_ylabel() for axes in panels(figure)]
    assert labels == ["mean squared error on [-1, 1]", "PSNR (dB, mean over images)"]


def test_every_decoder_and_curve_leaves_its_mark():
    rows = [row(1, 0.1, 0.2, "prior"), row(2, 0.2, 0.1, "prior"), row(2, 0.2, 0.05, "refit")]
    figure = figure_of({"a": rows, "b": [row(2, 0.3, 0.04, "own")]})
    points = {
        colour: [values.tolist() for values, other in drawn(figure)[0] if other == colour]
        for colour in COLOURS[:2]
    }
    assert points == {
        COLOURS[0]: [[[0.2, 0.05]], [[0.1, 0.2], [0.2, 0.1]]],
        COLOURS[1]: [[[0.3, 0.04]]],
    }
    markers = [bars.lines[0].get_marker() for bars in figure.axes[0].containers]
    assert len(set(markers)) == len(markers) == 3
    texts = [text.get_text() for text in figure.legends[0].texts]
    assert texts[:2] == ["a", "b"] and len(texts) == 5


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.0, 1e-3, 0.02, 2.5)])
def test_a_rate_stands_at_one_place_in_both_units(rates):
    rows = [row(k, rate, 0.1, "own") for k, rate in enumerate(rates, start=1)]
    in_bits, in_nats = (
        rate_distortion_plot({"a": rows}, rate_unit=unit, output=lambda figure: figure).axes[::2]
        for unit in ("bits/dim", "nats/dim")
    )
    for (below, above), names in (
        (in_bits, ("bits/dim", "nats/dim")),
        (in_nats, ("nats/dim", "bits/dim")),
    ):
        assert names[0] in below.get_xlabel() and names[1] == above.get_xlabel()
        for rate in rates:
            of_unit = {"bits/dim": rate, "nats/dim": rate * math.log(2.0)}
            first, second = (
                axis.transData.transform((of_unit[name], 0.1))[0]
                for axis, name in zip((below, above), names, strict=True)
            )
            assert first == pytest.approx(second)
        low, high = above.get_xlim()
        assert sum(low <= tick <= high for tick in above.get_xticks()) >= 2
    (values, _) = drawn(in_nats[0].figure)[0][0]
    np.testing.assert_allclose(values[:, 0], np.array(rates) * math.log(2.0))


def test_more_curves_than_colours():
    curves = {str(i): [row(1, 0.1 * i, 0.1, "own")] for i in range(1, 12)}
    found = drawn(figure_of(curves))[0]
    np.testing.assert_allclose([values[0, 0] for values, _ in found], 0.1 * np.arange(1, 12))
    assert [colour for _, colour in found] == [COLOURS[i % len(COLOURS)] for i in range(11)]


def test_bits_by_resolution():
    def heights(rates):
        figure = rate_by_resolution_plot(rates, output=lambda figure: figure)
        assert len(np.unique(pixels(figure))) > 10
        axes = figure.axes[0]
        sides = [text.get_text() for text in axes.get_xticklabels()]
        groups = [group for group in axes.containers if isinstance(group, BarContainer)]
        return sides, [[bar.get_height() for bar in group.patches] for group in groups]

    one = {"rate_bits_per_dim": 0.5, "rate_bits_per_dim_stderr": 0.1}
    unknown = {"rate_bits_per_dim": None, "rate_bits_per_dim_stderr": None}
    sides, found = heights({"a": {1: one, 4: one}})
    assert (sides, found) == (["1x1", "4x4"], [[0.5, 0.5]])
    sides, found = heights({"a": {1: one, 4: unknown}, "b": {8: one}, "c": {}})
    assert sides == ["1x1", "4x4", "8x8"]
    np.testing.assert_array_equal(found, [[0.5, np.nan, 0.0], [0.0, 0.0, 0.5], [0.0] * 3])
    sides, found = heights({"a": {"00-49": one, "50-99": one}, "b": {4: one}})
    assert sides == ["4x4", "00-49", "50-99"]
    assert found == [[0.0, 0.5, 0.5], [0.5, 0.0, 0.0]]


def test_many_points_of_a_decoder_are_a_line():
    rows = [row(k, 0.01 * k, 1.0 / k, "own") for k in range(1, 101)]
    (bars,) = figure_of({"a": rows}).axes[0].containers
    assert (bars.lines[0].get_marker(), bars.lines[0].get_linestyle()) == ("None", "-")


class _Refitted:
    def reconstruct(self, images, seed):
        return {1: images // 2, 3: 255 - images}


def test_the_grid_has_a_row_for_the_originals_and_each_prefix():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    rows = [row(1, 0.1, 0.2, "refit"), row(3, None, 0.0, "refit"), row(3, 1.0, 0.1, "prior")]
    grid = refit_grid(_Refitted(), images, rows)
    assert grid.dtype == np.uint8
    assert len(grid) == 3 * ROW
    for index, shown in enumerate((images, images // 2, 255 - images)):
        assert_row(grid, index * ROW, shown, columns=3)


def test_the_settings_of_a_user_change_nothing():
    rows = [row(1, 0.5, 0.01, "own"), row(2, 1.0, 0.001, "own")]
    expected = rate_distortion_plot({"a": rows})
    settings = {"text.usetex": True, "axes.facecolor": "red", "font.size": 30, "savefig.dpi": 10}
    with matplotlib.rc_context(settings):
        np.testing.assert_array_equal(rate_distortion_plot({"a": rows}), expected)
        assert matplotlib.rcParams["text.usetex"]


@pytest.mark.parametrize("label", ["$x^$", r"lr$\foo", "50%", "a_b^c"])
def test_a_name_is_no_formula(label):
    page = rate_distortion_plot({label: [row(1, 0.5, 0.01, "own")]}, output=svg)
    assert f">{html.escape(label, quote=False)}<" in page


def test_an_infinite_psnr_stands_at_the_edge_and_says_so():
    rows = [row(1, 0.5, 0.01, "own"), {**row(2, 1.0, 0.0, "own"), "psnr_db": math.inf}]
    errors, decibels = figure_of({"a": rows}).axes[:2]
    assert [text.get_text() for text in errors.texts] == []
    (text,) = decibels.texts
    assert (text.get_text(), text.xy) == ("infinite: no error", (1.0, 1.0))
    assert np.isfinite(decibels.get_ylim()).all()
