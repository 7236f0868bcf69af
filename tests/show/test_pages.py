"""Pages hold everything that they show, and no text of a user becomes markup."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pcvae.show import pages, picture, render_page, save_png, write_page
from pcvae.show.curves import Line, Panel, curve_plot

HOSTILE = "</pre><script src=\"http://x.example/a.js\">alert('1')</script>&"


def report(**changes):
    values = {
        "title": HOSTILE,
        "subtitle": HOSTILE,
        "record": {HOSTILE: 0.5, "psnr_db": 20.0},
        "findings": [{"severity": "ok", "statement": HOSTILE, "remedy": HOSTILE}],
        "curves": [curve_plot(Panel(HOSTILE, "u", [Line("a", [1], [1.0])]), pages.inline_svg)],
        "rate_plots": [],
        "curve_note": HOSTILE,
        "rate_note": "",
        "rates": [],
        "levels": [],
        "pictures": [],
        "protocol": {HOSTILE: {"data": {HOSTILE: HOSTILE}, "list": [HOSTILE]}},
        "configuration": {HOSTILE: HOSTILE},
        **changes,
    }
    return render_page("report.html", **values)


class Reader(HTMLParser):
    """Collects the elements of a page and what they refer to, as a browser would see them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name.endswith(("src", "href", "data"))]


def test_what_users_name_is_escaped_everywhere():
    page = report()
    assert page.count("&lt;script") >= 10
    read = Reader(page)
    assert "pre" in read.tags
    assert not read.tags & {"script", "link", "iframe", "object", "form", "base"}
    assert all(link.startswith(("#", "data:image/png")) for link in read.links)


def test_a_page_forbids_and_needs_no_network():
    page = report(
        title="a",
        subtitle="",
        curve_note="",
        rate_note="",
        record={},
        configuration={},
        protocol={},
        findings=[],
        curves=[curve_plot(Panel("t", "u", [Line("a", [1], [1.0])]), pages.inline_svg)],
    )
    assert "default-src 'none'; img-src data:" in page
    assert "prefers-color-scheme: dark" in page
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r"url\((?!#)", page)


def test_a_value_that_the_template_lacks_is_an_error():
    with pytest.raises(Exception, match="title"):
        render_page("page.html")


def test_a_picture_becomes_a_data_uri(tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    save_png(image, path)
    kind, _, data = picture(path)["source"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == path.read_bytes()
    monkeypatch.setattr(pages, "MAX_PICTURE_BYTES", 10)
    shown = {**picture(path), "caption": "c"}
    assert shown["source"] is None
    assert "a.png is too large for this page" in report(pictures=[shown])


def test_settings_are_named_by_their_path():
    record = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}
    assert pages.settings(record) == [("a.b", "1"), ("a.c.d", "1, 2"), ("e", "None")]


def test_a_page_is_written_whole(tmp_path):
    write_page("page.html", tmp_path / "new" / "p.html", title="t")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["p.html"]
    assert "<title>t</title>" in (tmp_path / "new" / "p.html").read_text()
