import numpy as np
import pytest

from pcvae.data.synthetic import SyntheticImages, draw_image, draw_picture
from pcvae.errors import UserError


def draw(count, split="train", seed=0, size=32):
    return np.stack([draw_image(seed, split, i, size) for i in range(count)])


@pytest.fixture(scope="module")
def pictures():
    return draw(300)


def test_a_picture_is_a_pure_function_of_its_place(pictures):
    assert np.array_equal(draw_image(0, "train", 7, 32), pictures[7])


def test_a_longer_set_starts_with_the_shorter_one(tmp_path):
    short = SyntheticImages(16, 5, 2, 2, cache_dir=tmp_path)
    long = SyntheticImages(16, 9, 4, 3, cache_dir=tmp_path)
    for split in ("train", "validation", "test"):
        count = short.num_images(split)
        assert np.array_equal(short.images(split), long.images(split)[:count])
        assert long.images(split).shape == (long.num_images(split), 16, 16, 3)


def test_no_two_pictures_are_equal_across_splits_and_seeds(pictures):
    sets = [pictures[:100], draw(100, "validation"), draw(100, "test"), draw(100, seed=1)]
    assert len({image.tobytes() for images in sets for image in images}) == 400


@pytest.mark.parametrize("seed", [-1, 2**63 + 1, 10**30])
def test_any_whole_number_is_a_seed(seed):
    assert not np.array_equal(draw_image(seed, "train", 0, 32), draw_image(0, "train", 0, 32))


@pytest.mark.parametrize("size", [16, 33, 64, 256])
def test_other_sizes_keep_the_statistics(size, pictures):
    others = draw(60, size=size)
    assert others.shape[1:] == (size, size, 3)
    assert abs(others.mean() - pictures.mean()) < 15
    assert abs(others.std() - pictures.std()) < 12


def test_colours_fill_the_range_without_bias(pictures):
    mean = pictures.mean(axis=(0, 1, 2))
    assert np.ptp(mean) < 15  # no channel is favoured: hues are uniform
    assert 80 < mean.mean() < 170
    assert pictures.min() < 10 and pictures.max() > 245
    assert pictures.mean(axis=(1, 2)).std(axis=0).min() > 25  # pictures differ in colour


def test_digits_stand_out_from_their_ground(pictures):
    grey = pictures.astype(float) @ [0.299, 0.587, 0.114]
    low, high = np.percentile(grey, [3, 97], axis=(1, 2))
    assert np.percentile(high - low, 5) > 50


def test_noise_is_mild_and_large_structure_dominates(pictures):
    values = pictures.astype(float)
    coarse = values.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4))
    share = coarse.var(axis=(1, 2)).mean() / values.var(axis=(1, 2)).mean()
    assert share > 0.5
    # In the flattest quarter of the pixels, the second difference of noise of standard deviation
    # s has standard deviation s * sqrt(6).
    second = values[:, :, 2:] - 2 * values[:, :, 1:-1] + values[:, :, :-2]
    flat = np.percentile(np.abs(second), 50) / 0.674 / np.sqrt(6)
    assert 1.0 < flat < 8.0


def test_drawing_is_cached(tmp_path, capsys):
    SyntheticImages(16, 3, 1, 1, cache_dir=tmp_path).images("train")
    assert "drawing" in capsys.readouterr().err
    SyntheticImages(16, 3, 1, 1, cache_dir=tmp_path).images("test")
    assert capsys.readouterr().err == ""
    SyntheticImages(16, 3, 1, 1, seed=1, cache_dir=tmp_path).images("test")
    assert "drawing" in capsys.readouterr().err


def test_counts_are_known_without_drawing(tmp_path):
    dataset = SyntheticImages(cache_dir=tmp_path)
    counts = [dataset.num_images(split) for split in dataset.splits]
    assert counts == [20_000, 1_000, 2_000] and dataset.image_shape == (32, 32, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 8},
        {"image_size": 512},
        {"image_size": 32.0},
        {"image_size": True},
        {"num_train_images": 0},
        {"num_test_images": -1},
        {"num_validation_images": 1.5},
        {"seed": "zero"},
    ],
)
def test_wrong_arguments_are_explained_in_one_line(options):
    with pytest.raises(UserError) as raised:
        SyntheticImages(**options)
    assert "\n" not in str(raised.value)


def test_an_unknown_split_is_explained(tmp_path):
    dataset = SyntheticImages(16, 1, 1, 1, cache_dir=tmp_path)
    for ask in (dataset.images, dataset.num_images):
        with pytest.raises(UserError, match="no split 'valid'; it has train, validation, test"):
            ask("valid")


def test_a_picture_says_what_it_shows():
    """Light grows towards its slopes, and digits are as many as the layout has."""
    drawn = [draw_picture(0, "train", i, 32) for i in range(200)]
    assert {len(picture.digits) for picture in drawn} == {1, 2, 3}
    assert np.array_equal(drawn[7].image, draw_image(0, "train", 7, 32))
    brightness = np.stack([picture.image for picture in drawn]).astype(float).mean(-1)
    slopes = np.array([picture.light for picture in drawn])
    across = brightness[:, :, 20:].mean((1, 2)) - brightness[:, :, :12].mean((1, 2))
    down = brightness[:, 20:].mean((1, 2)) - brightness[:, :12].mean((1, 2))
    assert np.corrcoef(across, slopes[:, 0])[0, 1] > 0.8
    assert np.corrcoef(down, slopes[:, 1])[0, 1] > 0.8
    corners = np.stack([picture.image[:3, :3].mean((0, 1)) for picture in drawn])
    walls = np.stack([picture.wall for picture in drawn])
    assert np.corrcoef(corners.ravel(), walls.ravel())[0, 1] > 0.8
    assert 0.2 < np.mean([picture.plate is not None for picture in drawn]) < 0.5
