"""The texture of drawn pictures: its fields in closed form, and what it leaves alone."""

import numpy as np
import pytest

from pcvae.data.synthetic import SyntheticImages, draw_picture
from pcvae.data.texture import CORRELATIONS, correlated, draw_texture

SIDE = 5


@pytest.mark.parametrize("name", CORRELATIONS)
def test_a_field_is_stationary_with_the_correlations_of_its_name(name):
    """The covariance of two pixels is r_x^dx r_y^dy, wherever they are."""
    along_x, along_y = CORRELATIONS[name]
    white = np.random.default_rng(0).standard_normal((40_000, SIDE, SIDE))
    fields = correlated(correlated(white, along_x, axis=2), along_y, axis=1)
    measured = np.cov(fields.reshape(len(fields), -1).T)
    distances = np.abs(np.arange(SIDE)[:, None] - np.arange(SIDE))
    expected = np.kron(along_y**distances, along_x**distances)
    # Five standard errors of a covariance of unit variances.
    assert np.abs(measured - expected).max() < 5 * np.sqrt(2 / len(fields))


def test_each_field_is_drawn_as_often_as_the_others_and_by_its_name():
    rng = np.random.default_rng(1)
    drawn = [draw_texture(rng, 16) for _ in range(400)]
    for name, (along_x, along_y) in CORRELATIONS.items():
        fields = np.stack([texture.values for texture in drawn if texture.name == name])
        assert 65 < len(fields) < 135  # 100 +- 4 standard deviations
        assert (fields[:, :, 1:] * fields[:, :, :-1]).mean() == pytest.approx(along_x, abs=0.06)
        assert (fields[:, 1:] * fields[:, :-1]).mean() == pytest.approx(along_y, abs=0.06)


def test_a_textured_picture_is_the_plain_one_plus_its_field():
    """Luminance alone, of the standard deviation that was asked for, where nothing is clipped."""
    differences = []
    for index in range(60):
        plain, textured = (draw_picture(3, "test", index, 16, sigma) for sigma in (0.0, 20.0))
        assert plain.texture is None and textured.texture in CORRELATIONS
        assert textured._replace(image=0, wall=0, plate=0, ink=0, texture=None) == plain._replace(
            image=0, wall=0, plate=0, ink=0
        )
        inside = ((plain.image > 90) & (plain.image < 165)).all(axis=-1)
        difference = textured.image[inside].astype(float) - plain.image[inside]
        assert np.ptp(difference, axis=-1).max(initial=0.0) <= 1  # channels differ by rounding
        differences.append(difference[:, 0])
    differences = np.concatenate(differences)
    assert len(differences) > 1500
    assert differences.std() == pytest.approx(20.0, rel=0.08)


def test_a_texture_is_part_of_what_the_cache_knows_a_set_by(tmp_path):
    sets = [
        SyntheticImages(16, 2, 1, 1, cache_dir=tmp_path, texture=texture)
        for texture in (0.0, 20.0, 30.0)
    ]
    images = [dataset.images("train") for dataset in sets]
    assert len(list(tmp_path.glob("synthetic-*/record.json"))) == 3
    np.testing.assert_array_equal(images[1][1], draw_picture(0, "train", 1, 16, 20.0).image)
    assert len({array.tobytes() for array in images}) == 3
