"""The walk: eager and in a graph, level by level, with a plan of its own."""

import json
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers import Encoder, Given, Posterior, Prior, TopDown
from pcvae.layers.cells.ladder import LadderCell
from pcvae.layers.plan import given_prefix, zero_rate
from pcvae.layers.walk import LATENT, PRIOR_NOISE, RATE_MAP

WIDTHS = {"width": 6, "width_per_resolution": "4:8,1:10"}
BLOCKS = "1x1,4m1,4x3,8m4"
SHAPES = [(1, 1, 2), *[(4, 4, 2)] * 4, (8, 8, 2)]
NOISE = seeded_noise(3)


@pytest.fixture(scope="module")
def top_down():
    layer = TopDown(BLOCKS, latent_width=2, **WIDTHS)
    layer.build()
    for index, weight in enumerate(layer.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 5)))
    return layer


@pytest.fixture(scope="module")
def evidence():
    encoder = Encoder("8x1,8d2,4x1,4d4,1x1", **WIDTHS)
    encoder.build((None, 8, 8, 3))
    return encoder(tf.random.stateless_normal((3, 8, 8, 3), seed=(0, 0)))


class Coder(NamedTuple):
    """A plan that quantises each latent on a grid of the prior and writes down its symbols."""

    symbols: list
    step: float
    reads_evidence: bool = True

    def at(self, levels):
        return self

    def inputs(self):
        return ()

    def draw(self, site, prior, posterior, noise):
        symbols = np.rint(prior.noise_of(posterior.loc).numpy() / self.step).astype(int)
        self.symbols.append(symbols)
        latent = prior.from_noise(self.step * tf.cast(symbols, tf.float32))
        return latent, zero_rate(latent)


class ReadBack(Coder):
    """The twin of `Coder`, which has the symbols alone."""

    def draw(self, site, prior, posterior, noise):
        assert posterior is None
        symbols = self.symbols[int(site.index)]
        latent = prior.from_noise(self.step * tf.cast(symbols, tf.float32))
        return latent, zero_rate(latent)


def test_a_coder_steps_from_level_to_level_and_its_twin_follows(top_down, evidence):
    written = []
    sent = top_down.walk(3, Coder(written, 0.25), None, evidence, keep=(LATENT,))
    assert [symbols.shape[1:] for symbols in written] == SHAPES
    read = top_down.walk(3, ReadBack(written, 0.25, reads_evidence=False), None, keep=(LATENT,))
    np.testing.assert_array_equal(read.features, sent.features)
    # What was sent are latents like any other: given to a walk they decode to the same.
    again = top_down.walk(3, Given(sent.latents), None)
    np.testing.assert_array_equal(again.features, sent.features)


@pytest.mark.parametrize(
    "plan", [Posterior(), Prior(tf.linspace(0.5, 1.0, 6))], ids=["posterior", "prior"]
)
def test_eagerly_level_by_level_it_gives_the_numbers_of_the_graph(top_down, evidence, plan):
    def walk():
        return top_down.walk(3, plan, NOISE, evidence, keep=(LATENT, PRIOR_NOISE))

    eager, graph = walk(), tf.function(walk, autograph=False)()
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(graph), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_what_is_kept_stands_under_its_own_name(top_down, evidence):
    keep = (LATENT, PRIOR_NOISE, RATE_MAP)
    trace = top_down.walk(3, Posterior(), NOISE, evidence, keep=keep)
    assert set(trace.kept) == {PRIOR_NOISE, RATE_MAP}
    for values in (trace.latents, *trace.kept.values()):
        assert [tuple(value.shape) for value in values] == [(3, *shape) for shape in SHAPES]
    sums = [tf.reduce_sum(rates, axis=(1, 2, 3)) for rates in trace.kept[RATE_MAP]]
    np.testing.assert_allclose(tf.stack(sums, axis=1), trace.rate_per_level, rtol=1e-5)
    nothing = top_down.walk(3, Posterior(), NOISE, evidence)
    assert nothing.latents == () and nothing.kept == {}


def test_noise_kept_from_the_prior_is_the_noise_that_was_drawn(top_down):
    trace = top_down.walk(3, Prior(tf.ones(6)), NOISE, keep=(PRIOR_NOISE,))
    for level, kept in enumerate(trace.kept[PRIOR_NOISE]):
        np.testing.assert_allclose(kept, NOISE.normal(level, (3, *SHAPES[level])), atol=1e-4)


def test_a_given_prefix_goes_on_from_the_prior(top_down):
    temperature = tf.fill([6], 0.8)
    drawn = top_down.walk(3, Prior(temperature), NOISE, keep=(LATENT,))
    for num_given in (0, 3, 6):
        plan = given_prefix(drawn.latents, tf.constant(num_given), temperature)
        again = top_down.walk(3, plan, NOISE)
        np.testing.assert_allclose(again.features, drawn.features, atol=1e-6)


def test_a_rate_map_needs_a_posterior(top_down):
    with pytest.raises(UserError, match="rate_map"):
        top_down.walk(3, Prior(tf.ones(6)), NOISE, keep=(RATE_MAP,))


def test_a_walk_from_the_prior_does_not_compute_the_posterior(top_down, evidence):
    """Not a number of the posterior's weights reaches it: made infinite, they change nothing."""
    plan, before = Prior(tf.ones(6)), top_down.walk(3, Prior(tf.ones(6)), NOISE).features
    weights = [weight for weight in top_down.weights if "posterior" in weight.path]
    values = [weight.numpy() for weight in weights]
    for weight in weights:
        weight.assign(tf.fill(weight.shape, np.inf))
    after = top_down.walk(3, plan, NOISE, evidence).features
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
    np.testing.assert_array_equal(after, before)


def test_another_cell_is_known_by_its_registered_name():
    top_down = TopDown(BLOCKS, cell=LadderCell, latent_width=2, **WIDTHS)
    again = TopDown.from_config(json.loads(json.dumps(top_down.get_config())))
    assert again.cell_class is LadderCell
    assert again.get_config() == top_down.get_config()
