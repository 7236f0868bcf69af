"""Curves over steps, as pixels and as elements of a page."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pcvae.show.curves import MAX_POINTS, Line, Panel, curve_plot, thinned
from pcvae.show.figures import svg
from pcvae.show.plots import COLOURS

PANEL = Panel("rate <b>", "bits/dim", [Line("a & b", [1, 2, 3], [1.0, None, 2.0])], legend=True)


def test_a_long_line_keeps_its_mean_and_its_gaps():
    steps, values = thinned(range(10 * MAX_POINTS), range(10 * MAX_POINTS))
    assert len(steps) == MAX_POINTS
    np.testing.assert_allclose(values, steps)
    assert values.mean() == (10 * MAX_POINTS - 1) / 2
    assert np.isnan(thinned([1, 2], [None, 3.0])[1][0])


def figure_of(panel):
    return curve_plot(panel, output=lambda figure: figure).axes[0]


def test_a_panel_draws_its_lines_its_target_and_its_words():
    other = Line("other", [1, 3], [4.0, 5.0], colour=1)
    axes = figure_of(PANEL._replace(lines=[*PANEL.lines, other], target=0.5))
    first, second, target = axes.lines
    np.testing.assert_array_equal(first.get_xydata(), [[1, 1.0], [2, np.nan], [3, 2.0]])
    np.testing.assert_array_equal(second.get_xydata(), [[1, 4.0], [3, 5.0]])
    assert list(target.get_ydata()) == [0.5, 0.5]
    assert [line.get_color() for line in (first, second)] == list(COLOURS[:2])
    words = (axes.get_title(), axes.get_xlabel(), axes.get_ylabel())
    assert words == ("rate <b>", "step", "bits/dim")
    assert [text.get_text() for text in axes.get_legend().texts] == ["a & b", "other", "target"]


def test_pixels_are_white_with_a_line_of_its_colour():
    picture = curve_plot(PANEL)
    assert picture.dtype == np.uint8
    assert (picture[0, 0] == 255).all()
    for index, found in ((0, True), (1, False)):
        colour = np.round(255 * np.array(to_rgb(COLOURS[index])))
        assert (picture == colour).all(axis=-1).any() == found


def test_the_element_is_well_formed_and_escaped_and_refers_to_nothing_outside():
    text = curve_plot(PANEL, output=svg)
    # What HTML knows without being told, XML does not.
    root = ElementTree.fromstring(text.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    words = [element.text for element in root.iter("text")]
    assert {"rate <b>", "bits/dim", "a & b", "step"} <= set(words)
    assert "http" not in text
    assert "<style" not in text
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))


def test_the_element_takes_the_colours_of_the_page():
    text = curve_plot(PANEL, output=svg)
    assert "#000000" not in text
    for name in ("currentColor", "var(--grid)", "var(--series)"):
        assert name in text


@pytest.mark.parametrize(("value", "scale"), [(0.0, "linear"), (0.1, "log")])
def test_values_of_zero_alone_have_no_logarithmic_axis(value, scale):
    panel = Panel("t", "u", [Line("a", [1, 2], [0.0, value])], logarithmic=True)
    assert figure_of(panel).get_yscale() == scale
    assert curve_plot(panel).ndim == 3
