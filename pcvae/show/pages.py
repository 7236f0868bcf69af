"""Pages that a browser opens from a file: one HTML file each, with everything inside.

Nothing on a page comes from outside: pictures are data URIs, plots are SVG elements, the style
stands in the page, and a content security policy forbids the rest. Light and dark follow the
browser. All text is escaped.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from pcvae.files import write_text
from pcvae.quantities import measured
from pcvae.show.figures import svg

MAX_PICTURE_BYTES = 8_000_000  # a larger one is named, not shown
TEMPLATES = Path(__file__).parent / "templates"


def write_page(template: str, path: str | os.PathLike, **values: Any) -> None:
    """Writes a page in one go, so that a reader never sees half of it; makes the folder.

    Args:
        template: name of a file in the folder ``templates``.
        path: where the page goes.
        **values: what the template shows.
    """
    text = render_page(template, **values)
    # The name of a file may hold what is no letter of Unicode.
    write_text(text.encode("utf-8", "backslashreplace").decode("utf-8"), path)


def render_page(template: str, **values: Any) -> str:
    """Returns the text of a page; see `write_page`. Values are escaped, unless they are Markup."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["settings"] = settings
    return environment.get_template(template).render(**values, measured=measured)


def inline_svg(figure: Figure) -> Markup:
    """Returns a figure as an element that a template takes unescaped; see `figures.svg`."""
    # Matplotlib escapes the texts of a figure.
    return Markup(svg(figure))


def picture(path: Path) -> dict[str, str | None]:
    """Returns what a page shows of a PNG file: ``name`` and ``source``, a data URI.

    ``source`` is None for a file too large for a page, or a device or a pipe, which may never end.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
        return {"name": path.name, "source": None}
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"name": path.name, "source": f"data:image/png;base64,{data}"}


def settings(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns the entries of nested dicts as pairs of a dotted name and a text."""
    pairs = []
    for name, value in record.items():
        if isinstance(value, dict):
            pairs += settings(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            pairs.append((f"{prefix}{name}", text))
    return pairs
