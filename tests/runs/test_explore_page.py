"""The page of pcvae-explore as a browser shows it: forms, uploads, the slider, and errors."""

import io
import threading

import flask
import numpy as np
import pytest
from PIL import Image
from werkzeug.serving import make_server

from pcvae import models, show
from pcvae.measure.single_prefix import psnr_db_of_images
from pcvae.runs.explore_page import make_app
from tests.models import tiny
from tests.runs import chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def model():
    return tiny.random_weights(models.VDVAE(**tiny.LARGER_ARGUMENTS))


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    server = make_server("127.0.0.1", 0, make_app(flask, model, "tiny"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with chromium.opened(address, tmp_path_factory.mktemp("browser")) as opened:
        yield opened
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def files(images, tmp_path):
    """Pictures of the model's size, one of another, and a text that is called a picture."""
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    Image.fromarray(images[0]).resize((30, 20)).save(tmp_path / "wide.png")
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


def answered(page, form):
    """Waits for the answer to a form; returns the line below it."""
    line = f"document.getElementById('{form}').nextElementSibling.textContent"
    page.wait_for(f"{line} !== 'computing ...' && busy.size === 0")
    return page.evaluate(line)


def press(page, form, **values):
    for name, value in values.items():
        page.evaluate(f"document.querySelector('#{form} [name={name}]').value = '{value}'")
    page.evaluate(f"document.querySelector('#{form} button').click()")
    return answered(page, form)


def pixels(page, form, name):
    shown = page.picture(f"#{form} ~ .results [data-picture={name}]")
    return np.asarray(Image.open(io.BytesIO(shown)))


def test_samples_of_a_seed_and_a_temperature(page, model):
    assert press(page, "sample", num_samples=4, temperature=0.5, seed=3) == ""
    expected = show.displayable(show.image_grid(model.sample(4, 0.5, seed=3)))
    np.testing.assert_array_equal(pixels(page, "sample", "picture"), expected)
    origins = "performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)"
    assert page.evaluate(f"{origins}.every(origin => origin === location.origin)")


def test_the_slider_goes_through_the_prefixes(page, model, images, files):
    page.choose("#prefix [type=file]", files / "0.png")
    answered(page, "prefix")
    rates = np.cumsum(model.rate_per_level(images[:1], seed=0)[0]) / np.log(2.0)
    for num_levels in (1, 2, 3):
        page.evaluate(
            "{const slider = document.querySelector('#prefix [type=range]');"
            f"slider.value = {num_levels};"
            "slider.dispatchEvent(new Event('input', {bubbles: true}))}"
        )
        assert answered(page, "prefix") == ""
        expected = model.reconstruct(images[:1], num_levels, seed=0)
        shown = show.displayable(expected[0])
        np.testing.assert_array_equal(pixels(page, "prefix", "reconstruction"), shown)
        measured = page.evaluate("document.getElementById('measured').textContent")
        assert measured.startswith(f"K = {num_levels}")
        assert f": {rates[num_levels - 1]:.1f} bits" in measured
        psnr_db = float(psnr_db_of_images(expected, images[:1])[0])
        assert f"PSNR {psnr_db:.2f} dB" in measured


def test_levels_of_two_images_are_swapped(page, model, images, files):
    for name, file in (("first", "0.png"), ("second", "1.png")):
        page.choose(f"#swap [name={name}]", files / file)
    assert press(page, "swap", first_level=0, last_level=1) == ""
    expected = show.swap(model, images[:1], images[1:], (0, 1))
    np.testing.assert_array_equal(pixels(page, "swap", "swapped"), show.displayable(expected[0]))
    assert "from 2 to 2, got 1" in press(page, "swap", first_level=2, last_level=1)


def test_pictures_of_another_size_are_resized_and_what_is_none_is_one_line(page, files):
    page.choose("#prefix [type=file]", files / "wide.png")
    assert answered(page, "prefix") == (
        "wide.png: 30x20, cropped to the centred square and resized to 8x8"
    )
    page.choose("#prefix [type=file]", files / "text.png")
    assert "expected a PNG, JPEG or WebP picture" in answered(page, "prefix")
    results = "document.querySelector('#prefix ~ .results')"
    assert page.evaluate(f"getComputedStyle({results}).display") == "none"
