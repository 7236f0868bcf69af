"""Figures as pixels, for files and TensorBoard, and as SVG for a page in light and dark."""

import contextlib
import io
import re
from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

DPI = 110
GRID_COLOUR = "#e0e0e0"
MUTED_COLOUR = "#595959"
# What a page may colour in its own way; everything else keeps its colour.
_PAGE_COLOURS = {
    "#000000": "currentColor",
    "#262626": "currentColor",
    "#0072b2": "var(--series)",  # the first colour of a plot, too dark for a dark page
    GRID_COLOUR: "var(--grid)",
    MUTED_COLOUR: "var(--muted)",
}
_METADATA = ("Creator", "Date", "Format", "Type")


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Draws with Matplotlib's defaults, whatever the user's matplotlibrc says; a decorator, too."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def plain_text(text: str) -> str:
    """Returns a text for a figure that is no formula, such as the name of a folder."""
    return text.replace("$", r"\$")


def pixels(figure: Figure) -> np.ndarray:
    """Returns a figure as uint8 [height, width, 3]."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def svg(figure: Figure) -> str:
    """Returns a figure as an SVG element for an HTML page.

    It refers to nothing outside and holds its text as text. The background is that of the page,
    and black, the first series, the grid and muted lines take the page's ``currentColor``,
    ``--series``, ``--grid`` and ``--muted``.
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "pcvae"}
    file = io.StringIO()
    with matplotlib.rc_context(settings):
        FigureCanvasSVG(figure).print_svg(file, metadata=dict.fromkeys(_METADATA))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    # In HTML the element needs no name spaces, and a style element would hold for the whole page.
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*"', r"<svg \1", text
    )
    text = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, sans-serif", text)
    for colour, variable in _PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    return _with_default_fill(text)


def _with_default_fill(text):
    """Matplotlib leaves the fill of black text out: an SVG's default is black, not the page's."""
    return text.replace("<svg ", '<svg fill="currentColor" ', 1)
