"""Curves over steps, as pixels and as elements of a page."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from pcvae.show.curves import MAX_POINTS, Line, Panel, curve_plot, thinned
from pcvae.show.figures import svg

PANEL = Panel("rate <b>", "bits/dim", [Line("a & b", [1, 2, 3], [1.0, None, 2.0])], legend=True)


def test_a_long_line_keeps_its_mean_and_its_gaps():
    steps, values = thinned(range(10 * MAX_POINTS), range(10 * MAX_POINTS))
    assert len(steps) == MAX_POINTS
    np.testing.assert_allclose(values, steps)
    assert values.mean() == (10 * MAX_POINTS - 1) / 2
    assert np.isnan(thinned([1, 2], [None, 3.0])[1][0])


def test_pixels():
    picture = curve_plot(PANEL)
    assert picture.dtype == np.uint8
    assert picture.std() > 0.0


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


def test_values_of_zero_on_a_logarithmic_axis_are_no_error():
    zero = Panel("t", "u", [Line("a", [1, 2], [0.0, 0.0])], logarithmic=True)
    assert curve_plot(zero).shape == curve_plot(PANEL).shape
