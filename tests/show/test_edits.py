"""Interpolation, traversal and swap: their ends, their neutral elements, and the paths."""

import numpy as np
import pytest

from pcvae.errors import UserError
from pcvae.show import interpolate, lerp, slerp, swap, traverse
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

SEED = 4


@pytest.fixture(scope="module")
def model():
    return tiny.random_weights(tiny.vdvae(decoder_blocks="1x1,4m1,4x1"), scale=0.6)


@pytest.fixture(scope="module")
def first():
    return tiny.random_images(3, seed=1)


@pytest.fixture(scope="module")
def second():
    return tiny.random_images(3, seed=2)


@pytest.mark.parametrize("path", ["lerp", "slerp"])
def test_an_interpolation_begins_and_ends_with_the_reconstructions(model, first, second, path):
    start, middle, end = interpolate(model, first, second, [0, 0.5, 1], path, seed=SEED)
    np.testing.assert_array_equal(start, model.reconstruct(first, seed=SEED))
    np.testing.assert_array_equal(end, model.reconstruct(second, seed=SEED))
    assert (middle != start).any() and (middle != end).any()


def test_lerp_is_a_line_in_the_latents_and_slerp_one_of_noise(model, first, second):
    ends = [model.encode(images, seed=SEED) for images in (first, second)]
    [line] = interpolate(model, first, second, [0.25], "lerp", seed=SEED)
    latents = [0.75 * a + 0.25 * b for a, b in zip(*ends, strict=True)]
    np.testing.assert_array_equal(line, model.decode(latents))
    # An image to itself: any path stands still, up to the rounding there and back.
    [still] = interpolate(model, first, first, [0.5], "slerp", seed=SEED)
    difference = np.abs(still.astype(int) - model.reconstruct(first, seed=SEED))
    assert (difference > 0).mean() < 0.02


def test_a_prefix_is_interpolated_and_the_rest_follows_its_rule(model, first, second):
    def middle(below):
        return interpolate(model, first, second, [1], "lerp", 1, below, seed=SEED)[0]

    latents = model.encode(second, seed=SEED)[:1]
    np.testing.assert_array_equal(middle("resample"), model.decode(latents))
    mixed = [latents[0], *model.encode(first, seed=SEED)[1:]]
    np.testing.assert_array_equal(middle("keep"), model.decode(mixed))
    assert (middle("infer") != middle("keep")).any()


def test_slerp_keeps_lengths_and_angles():
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 5, 40))
    angles = []
    for amount in (0.0, 0.25, 0.5, 0.75, 1.0):
        point = slerp(first, second, amount)
        length = lerp(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1), amount)
        np.testing.assert_allclose(np.linalg.norm(point, axis=1), length, rtol=1e-6)
        cosine = np.sum(point * first, axis=1) / length / np.linalg.norm(first, axis=1)
        angles.append(np.arccos(np.clip(cosine, -1, 1)))
    np.testing.assert_allclose(angles, np.outer([0, 0.25, 0.5, 0.75, 1], angles[-1]), atol=1e-6)
    np.testing.assert_allclose(slerp(first, 2 * first, 0.5), 1.5 * first, rtol=1e-6)
    # Opposite: no one great circle, so that the way is straight.
    np.testing.assert_allclose(slerp(first, -first, 0.25), 0.5 * first, rtol=1e-6)
    np.testing.assert_array_equal(slerp(0 * first, 0 * first, 0.5), 0 * first)


@pytest.mark.parametrize("below", ["keep", "infer"])
def test_a_traversal_by_nothing_is_the_reconstruction(model, first, below):
    still, moved = traverse(model, first, 1, 0, [0, 2.0], below, seed=SEED)
    np.testing.assert_array_equal(still, model.reconstruct(first, seed=SEED))
    assert (moved != still).any()


def test_a_traversal_moves_by_standard_deviations_of_the_prior(model, first):
    """A move of t and the latents of noise with t added are one thing."""
    latents = model.encode(first, seed=SEED)
    noise = model.noise_of(latents)
    noise[0][..., 1] += 1.5
    edited = [model.latents_of(noise)[0], *latents[1:]]
    np.testing.assert_array_equal(
        traverse(model, first, 0, 1, [1.5], seed=SEED)[0], model.decode(edited)
    )
    np.testing.assert_array_equal(edited[0][..., 0], model.latents_of(noise)[0][..., 0])


def test_a_swap_of_all_levels_is_the_other_image(model, first, second):
    np.testing.assert_array_equal(
        swap(model, first, second, range(3), seed=SEED), model.reconstruct(second, seed=SEED)
    )
    np.testing.assert_array_equal(
        swap(model, first, first, [1], "infer", seed=SEED), model.reconstruct(first, seed=SEED)
    )
    own, other = (model.encode(images, seed=SEED) for images in (first, second))
    np.testing.assert_array_equal(
        swap(model, first, second, [1], seed=SEED), model.decode([own[0], other[1], own[2]])
    )
    np.testing.assert_array_equal(
        swap(model, first, second, [1], "resample", seed=SEED), model.decode([own[0], other[1]])
    )


def test_arguments_are_checked(model, first, second):
    for call, says in (
        (lambda: interpolate(model, first, second, [2.0]), "amounts: .*got 2.0"),
        (lambda: interpolate(model, first, second, [0], "circle"), "path: .*slerp.*'circle'"),
        (lambda: interpolate(model, first, second, [0], num_levels=4), "num_levels: .*got 4"),
        (lambda: traverse(model, first, 3, 0, [0]), "level: .* 2, got 3"),
        (lambda: traverse(model, first, 0, 2, [0]), "channel: .* 1, got 2"),
        (lambda: traverse(model, first, 0, 0, [0], "drop"), "below: .*keep.*got 'drop'"),
        (lambda: swap(model, first, second, []), "levels: .*one"),
        (lambda: swap(model, first, second, [3]), "levels: .* 2, got 3"),
    ):
        with pytest.raises(UserError, match=says):
            call()
