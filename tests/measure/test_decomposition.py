"""Where a Frechet distance is lost: its parts are distances between sets that the model draws."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import data, measure, models
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.measure.averaging import AfterAveraging, averaged, extractor_views
from pcvae.measure.decomposition import decomposed_prefix, decomposition_lines
from pcvae.measure.features import FeatureExtractor
from pcvae.runs import frechet_record
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

COUNT, SEED, TEMPERATURE = 5, 3, 0.7
SPLITS = ("train", "validation", "test")
GAUSSIAN = {"head": "gaussian"}


def moments(images):
    images = images.astype(np.float32) / 255.0
    return np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)


def in_blocks(images):
    """The mean of each 2x2 block, rounded, in all its pixels."""
    count, height, width, channels = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))
    return np.rint(blocks).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "pictures.npz"
    np.savez(path, **{split: tiny.random_images(COUNT) for split in SPLITS})
    return data.from_spec(f"arrays:{path}")


@pytest.fixture(scope="module")
def staged():
    first = tiny.first_stage()
    return models.StagedVAE([first, tiny.next_stage([first], **GAUSSIAN)])


def record_of(model, dataset, **options):
    asked = {"extractor": moments, "temperature": TEMPERATURE, "seed": SEED, "pixels": "mean"}
    return frechet_record(model, dataset, **asked | {"decompose": True, "batch_size": 8} | options)


def test_images_are_averaged_over_blocks():
    images = tiny.random_images()
    np.testing.assert_array_equal(averaged(images), in_blocks(images))


def test_the_parts_of_two_stages_are_distances_between_what_they_draw(dataset, staged):
    model, first = staged, staged.stages[0]
    record = record_of(model, dataset, batch_size=4)  # the last one is ragged
    images = dataset.images("train")
    (end, _) = model.stage_ends
    drawing = {"temperature": TEMPERATURE, "seed": SEED}
    sets = {
        "samples": model.sample(COUNT, pixels="mean", **drawing),
        "between": model.reconstruct(images, end, decoder="prior", **drawing),
        "own_prior": first.sample(COUNT, pixels="mean", **drawing),
        "own_posterior": first.reconstruct(images, seed=SEED),
        "images": images,
    }
    parts = {
        "frechet_distance": ("samples", "images"),
        "frechet_prior_part": ("samples", "between"),
        "frechet_decoder_part": ("between", "images"),
        "frechet_prefix_prior_part": ("own_prior", "own_posterior"),
    }
    for key, names in parts.items():
        for suffix, view in (("", np.asarray), ("_averaged_2x2", in_blocks)):
            one, other = (moments(view(sets[name])) for name in names)
            expected = measure.frechet_distance(one, other)
            assert record[f"{key}{suffix}"] == pytest.approx(expected, rel=1e-4), (key, suffix)
    assert record["frechet_decomposition_protocol"]["num_levels"] == end
    # The root of the distance is one: the whole is not above the sum of its parts.
    whole, *inner = (record[key] ** 0.5 for key in list(parts)[:3])
    assert whole <= sum(inner)


def test_nothing_is_lost_in_a_prior_that_the_posterior_equals(dataset):
    """The decoder's part is then the whole. Before that, its prefix has images of its own."""
    model = tiny.vdvae(prefix_decoders=(1,), **GAUSSIAN)
    asked = {"temperature": 1.0, "pixels": "sample"}
    lost = record_of(model, dataset, **asked)
    plan = models.Prior(tf.ones(model.num_levels))
    drawn = model.trace(plan, seeded_noise(SEED), num_images=COUNT, keep=(models.LATENT,))
    own_prior = model.decode([drawn.latents[0].numpy()], decoder="own")
    own_posterior = model.reconstruct(dataset.images("train"), 1, seed=SEED, decoder="own")
    expected = measure.frechet_distance(moments(own_prior), moments(own_posterior))
    assert "a decoder" in lost["frechet_decomposition_protocol"]["reason"]
    assert lost["frechet_prefix_prior_part"] == pytest.approx(expected, rel=1e-3)
    for name, weight in model.named_weights.items():
        if "posterior" in name or "prior" in name:
            weight.assign(0.0 * weight)
    record = record_of(model, dataset, **asked)
    for key in ("frechet_prior_part", "frechet_prefix_prior_part"):
        assert record[key] == pytest.approx(0.0, abs=1e-9) and lost[key] > 1e-5
    assert record["frechet_decoder_part"] == pytest.approx(record["frechet_distance"], rel=1e-6)


def test_where_a_distance_is_decomposed_by_default(staged):
    def number(asked=True, constrained=(), **changes):
        model = models.VDVAE(**tiny.ARGUMENTS | GAUSSIAN | changes)
        return decomposed_prefix(model, asked, constrained).num_levels

    assert decomposed_prefix(staged, True) == (1, "the stages before the last")
    assert number(unshared_prefix=1, encoder_blocks=tiny.ENCODER_WITH_A_FINE_BLOCK) == 1
    eight = {"image_shape": (8, 8, 3), "encoder_blocks": "8d4,2d2,1x1"}
    eight["decoder_blocks"] = "1x2,2m1,2x1,8m2"
    plain = models.VDVAE(**tiny.ARGUMENTS | GAUSSIAN | eight)
    assert plain.num_levels == 5
    assert decomposed_prefix(plain, True).num_levels == 2  # 1x1 is an eighth of 8x8
    assert decomposed_prefix(plain, True, [None, 3, 5]).num_levels == 3  # 5 is the whole
    assert number() == 1  # no level is so coarse: the first resolution
    assert number(encoder_blocks="4x1", decoder_blocks="4x4") == 2  # half of one resolution
    assert decomposed_prefix(plain, "2x2").num_levels == 4
    assert decomposed_prefix(plain, 1) == (1, "as asked for")
    assert decomposed_prefix(plain, False) is None
    for wrong in (0, 6, "4x4", "abc"):
        with pytest.raises(UserError, match=r"expected 1\.\.5, got"):
            decomposed_prefix(plain, wrong)


def test_images_of_odd_sides_are_not_averaged():
    extractor = FeatureExtractor(moments, "moments")
    assert list(extractor_views(extractor, (4, 6, 3))) == ["", "_averaged_2x2"]
    assert list(extractor_views(extractor, (4, 5, 3))) == [""]
    with pytest.raises(UserError, match="expected images of even sides, got 5x4"):
        AfterAveraging(extractor).check((5, 4, 3))
    shape = (4, 4, 3)
    assert AfterAveraging(extractor).protocol(shape).items() > extractor.protocol(shape).items()


def test_rates_after_the_prefix_stand_beside_the_parts():
    protocol = {"num_levels": 1, "reason": "as asked for", "posteriors": "of images"}
    record = {
        "frechet_decomposition_protocol": protocol,
        "rate_nats_per_level": [9.0, 1.5, 0.25, None],
        "level_resolutions": [1, 4, 4, 8],
    }
    where, rates = decomposition_lines(record)
    assert "after 1 of 4 levels (as asked for), posteriors of images" in where
    assert rates.endswith("nats/image: 4x4 1.50, 0.25; 8x8 not finite")
    many = {"rate_nats_per_level": [0.5] * 200, "level_resolutions": [1] + [4] * 199}
    assert decomposition_lines(record | many)[1].endswith("4x4 99.50")
