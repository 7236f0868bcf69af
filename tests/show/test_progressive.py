"""The progressive view: what prefixes cost and give, what they fix, where their bits go."""

import numpy as np
import pytest

from pcvae import models, show, units
from pcvae.show.figures import pixels
from tests.models import tiny
from tests.show.cells import SIDE, enlarged


@pytest.fixture(scope="module")
def model():
    """Grey images, and weights that make latents count."""
    arguments = {**tiny.LARGER_ARGUMENTS, "image_shape": (8, 8, 1)}
    return tiny.random_weights(models.VDVAE(**arguments))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)


def assert_columns(picture, columns):
    """Checks that the columns of a picture hold images, enlarged, one below the other."""
    assert picture.dtype == np.uint8
    assert picture.shape[1] % len(columns) == 0
    width = picture.shape[1] // len(columns)
    for index, images in enumerate(columns):
        left = index * width + (width - SIDE) // 2
        strip = picture[:, left : left + SIDE]
        for image in images:
            tops = range(len(strip) - SIDE + 1)
            cell = enlarged(image)
            top = next((t for t in tops if (strip[t : t + SIDE] == cell).all()), None)
            assert top is not None, f"column {index} lacks an image"
            strip = strip[top + SIDE :]


def test_prefixes_of_images(model, images):
    columns = show.progressive_reconstructions(model, images, seed=2)
    rates = model.rate_per_level(images, seed=2)
    assert [column["num_levels"] for column in columns] == list(model.prefixes)
    for column in columns:
        num_levels = column["num_levels"]
        np.testing.assert_allclose(
            column["bits"], units.nats_to_bits(rates[:, :num_levels].sum(axis=1)), rtol=1e-5
        )
        expected = model.reconstruct(images, num_levels, seed=2)
        np.testing.assert_array_equal(column["images"], expected)
        error = ((expected.astype(float) - images) ** 2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(column["psnr_db"], 10 * np.log10(255**2 / error))
    shown = show.reconstruction_picture(images, columns)
    assert_columns(shown, [images, *(column["images"] for column in columns)])


def test_an_image_without_an_error_is_said_to_be_equal(images):
    column = {"num_levels": 1, "resolution": 1, "images": images, "bits": np.ones(3)}
    pictures = [
        show.reconstruction_picture(images, [{**column, "psnr_db": np.full(3, psnr)}])
        for psnr in (np.inf, 20.0)
    ]
    assert (pictures[0] != pictures[1]).any()


def test_levels_of_samples_that_are_fixed_are_common_to_all_redraws(model):
    drawn = show.progressive_samples(model, num_samples=2, redraws=3, seed=5)
    assert list(drawn) == [0, *model.prefixes]
    whole = drawn[model.num_levels]
    assert whole.shape == (2, 3, 8, 8, 1)
    assert (whole == whole[:, :1]).all()
    assert (whole[0] != whole[1]).any()
    assert (drawn[0][:, 0] != drawn[0][:, 1]).any()
    columns = [made.reshape(6, 8, 8, 1) for made in drawn.values()]
    assert_columns(show.sample_picture(model, drawn), columns)


def test_without_temperature_nothing_is_drawn(model):
    drawn = show.progressive_samples(model, num_samples=1, redraws=2, temperature=0.0)
    assert len({made.tobytes() for made in drawn.values()}) == 1


def test_the_sum_of_a_map_is_the_rate_of_its_resolution(model, images):
    maps = show.bits_per_pixel_maps(model, images, seed=2)
    rates = units.nats_to_bits(model.rate_per_level(images, seed=2))
    resolutions = np.array(model.level_resolutions)
    assert list(maps) == sorted(set(resolutions))
    for side, rates_by_pixel in maps.items():
        assert rates_by_pixel.shape == (3, 8, 8)
        np.testing.assert_allclose(
            rates_by_pixel.sum(axis=(1, 2)), rates[:, resolutions == side].sum(axis=1), rtol=1e-4
        )
    assert np.ptp(maps[1][0]) == 0.0  # one place covers the picture
    figure = show.rate_map_plot(images, maps, output=lambda figure: figure)
    assert len(np.unique(pixels(figure))) > 10
    panels = [figure.axes[row * (len(maps) + 1) :][: len(maps) + 1] for row in range(3)]
    for row, (first, *others) in enumerate(panels):
        np.testing.assert_array_equal(first.images[0].get_array(), images[row, ..., 0])
        for axes, rates_by_pixel in zip(others, maps.values(), strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), rates_by_pixel[row])
    assert [axes.get_title() for axes in panels[0]] == ["image", "1x1", "8x8"]
