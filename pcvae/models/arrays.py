"""The methods of every model on arrays: sample, encode, decode, reconstruct, edit.

Arguments of one name mean the same everywhere:

* ``images``: uint8 [num_images, height, width, channels].
* ``seed``: an integer from 0 to 2^32 - 1. Example i gets the noise of (seed, level, i).
* ``batch_size``: images at once; it changes nothing.
* ``condition``: of a conditional model, one for each image. Where it follows from the image itself
  it may be left out.
* ``temperature``: scales the prior's standard deviation, one number or one per level; 0 takes the
  prior's means.

Images come back as uint8 [num_images, height, width, channels], unless drawn as the mean of the
head. What does not fit the model or is out of range raises `UserError`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.distributions.noise import GivenNoise, make_seed
from pcvae.errors import UserError
from pcvae.layers import plan as plans
from pcvae.layers.walk import LATENT, PRIOR_NOISE
from pcvae.models import inputs
from pcvae.models.batches import COUNT, in_batches

if TYPE_CHECKING:
    from pcvae.models.base import HierarchicalModel as Model


def sample(
    model: "Model",
    num_samples: int,
    temperature: float | Sequence[float] | np.ndarray = 1.0,
    seed: Any = 0,
    batch_size: int = 64,
    first_sample: int = 0,
    condition: Any = None,
    pixels: str = "sample",
) -> np.ndarray:
    """Draws images from the model.

    Args:
        num_samples: number of images.
        temperature: of the prior.
        seed: equal seeds draw equal images.
        first_sample: index of the first image: sampling 3, then 5 with ``first_sample=3``,
            equals sampling 8.
        pixels: "sample" draws them, "mean" takes the mean of the head.

    Returns:
        uint8 [num_samples, height, width, channels].
    """
    num_samples = check_integer("num_samples", num_samples, 0)
    first_sample = check_integer("first_sample", first_sample, 0)
    temperature = model.temperatures(temperature)
    given = model._runner.conditions(condition, num_samples)
    if pixels not in ("sample", "mean"):
        raise UserError(f"pixels: expected sample or mean, got {pixels!r}")

    def draw(noise, count, temperature, condition=None):
        plan = plans.Prior(temperature)
        if pixels == "sample":
            return model.draw(plan, noise, condition=condition, num_images=count)
        output = model.output(plan, noise, condition=condition, num_images=count)
        return model.rounded(output.reconstruction)

    graph = model._runner.graph(f"sample, pixels={pixels}", draw, COUNT, model._runner.per_level())

    seed = make_seed(seed)

    def run(here):
        count, first = here.stop - here.start, here.start + first_sample
        return graph(seed, first, count, temperature, *(array[here] for array in given))

    none = np.zeros((0, *model.image_shape), np.uint8)
    return in_batches(run, num_samples, batch_size, none)


def reconstruct(
    model: "Model",
    images: np.ndarray,
    num_levels: int | None = None,
    seed: Any = 0,
    temperature: float | Sequence[float] | np.ndarray = 0.0,
    batch_size: int = 64,
    condition: Any = None,
    decoder: str | None = None,
) -> np.ndarray:
    """Reconstructs images from a prefix of their latents.

    Args:
        num_levels: the prefix K whose latents come from the posterior; by default all.
        temperature: of the prior that the other levels come from.
        decoder: "own" for the decoder that was trained for this prefix (`ProgressiveCoding`),
            "prior" for the model's path with the other levels from the prior; by default "own"
            where the model has one (ours). Of all levels the model itself is the own decoder.
    """
    num_levels = model.num_levels if num_levels is None else num_levels
    num_levels = check_integer("num_levels", num_levels, 0, model.num_levels)
    own = model.decoder_of_prefix(num_levels, decoder) == inputs.OWN
    own = own and model.prefix_reconstruction is not None
    if not own and model.readout_of(num_levels, decoder) is not None:
        latents = model.encode(images, seed, batch_size, condition)[:num_levels]
        return model.decode(latents, seed, temperature, batch_size, condition, decoder)
    temperature = model.temperatures(temperature)

    def reconstruct(noise, images, num_levels, temperature, *condition):
        if own:
            decoded = model.prefix_reconstruction(images, noise, num_levels, *condition)
            return model.rounded(decoded)
        plan = plans.posterior_prefix(num_levels, temperature)
        return model.rounded(model.output(plan, noise, images, *condition).reconstruction)

    specs = (model._runner.images, COUNT, model._runner.per_level())
    graph = model._runner.graph(f"reconstruct, own={own}", reconstruct, *specs)
    return model._runner.on_images(
        graph, images, batch_size, seed, condition, num_levels, temperature
    )


def encode(
    model: "Model", images: np.ndarray, seed: Any = 0, batch_size: int = 64, condition: Any = None
) -> list[np.ndarray]:
    """Draws the latents of images from the posterior.

    Returns:
        A list with one float32 [num_images, ...] for each level, coarsest first.
    """

    def encode(noise, images, *condition):
        return model.trace(plans.Posterior(), noise, images, *condition, keep=(LATENT,)).latents

    graph = model._runner.graph("encode", encode, model._runner.images)
    return list(model._runner.on_images(graph, images, batch_size, seed, condition))


def decode(
    model: "Model",
    latents: Sequence[np.ndarray],
    seed: Any = 0,
    temperature: float | Sequence[float] | np.ndarray = 0.0,
    batch_size: int = 64,
    condition: Any = None,
    decoder: str | None = None,
) -> np.ndarray:
    """Decodes latents; ``decode(encode(images))`` equals ``reconstruct(images)``.

    Args:
        latents: one or more arrays as `encode` returns them; levels missing at the end are
            drawn from the prior, unless there is a decoder for those that are given.
        seed: of the levels that are missing.
        temperature: of the prior that they come from.
        decoder: "own", "prior" or None; see `reconstruct`.
    """
    latents = inputs.checked_latents(latents, model.latent_shapes)
    count, temperature = len(latents), model.temperatures(temperature)
    readout = model.readout_of(count, decoder)

    def decode(noise, latents, temperature, *condition):
        if readout is not None:
            return model.rounded(readout(latents))
        num_images = tf.shape(latents[0])[0]
        plan = plans.Given(latents)
        if count < model.num_levels:
            shapes = model.latent_shapes[count:]
            missing = (tf.zeros((num_images, *shape)) for shape in shapes)
            plan = plans.given_prefix((*latents, *missing), count, temperature)
        output = model.output(plan, noise, None, *condition, num_images=num_images)
        return model.rounded(output.reconstruction)

    name = f"decode {count} levels, readout={readout is not None}"
    graph = model._runner.graph(
        name, decode, model._runner.latents[:count], model._runner.per_level()
    )
    return model._runner.on_latents(graph, latents, batch_size, condition, seed, temperature)


def edit(
    model: "Model",
    images: np.ndarray,
    latents: Sequence[np.ndarray],
    sources: Sequence[str],
    seed: Any = 0,
    temperature: float | Sequence[float] | np.ndarray = 0.0,
    batch_size: int = 64,
    condition: Any = None,
) -> np.ndarray:
    """Decodes latents, each level of which is given or drawn anew below what was edited.

    All levels given: `decode`. All from the posterior: `reconstruct`.

    Args:
        images: what the posterior sees.
        latents: an array for every level, as `encode` returns them.
        sources: one of "given", "posterior" and "prior" for every level: taken as it is, drawn
            from q(z_i | x, z_<i) with the z_<i that came before, or from p(z_i | z_<i).
        seed: with that of `encode` a level from the posterior comes out as there, as
            long as no level before it was changed.
        temperature: of levels from the prior.
    """
    latents = inputs.checked_all_latents(latents, model.latent_shapes, len(images))
    numbers = inputs.checked_sources(sources, model.num_levels)

    def edit(noise, images, latents, sources, temperature, *condition):
        plan = plans.edited(latents, sources, temperature)
        return model.rounded(model.output(plan, noise, images, *condition).reconstruction)

    levels = model._runner.per_level(tf.int32), model._runner.per_level()
    graph = model._runner.graph("edit", edit, model._runner.images, model._runner.latents, *levels)
    shared = (numbers, model.temperatures(temperature))
    return model._runner.on_images(
        graph, images, batch_size, seed, condition, *shared, latents=latents
    )


def noise_of(
    model: "Model", latents: Sequence[np.ndarray], condition: Any = None, batch_size: int = 64
) -> list[np.ndarray]:
    """Returns the noise from which the prior would make latents: their coordinates.

    (z_i - mean) / standard deviation of p(z_i | z_<i), level by level: standard normal for
    latents from the prior.

    """

    def noise_of(noise, latents, *condition):
        options = {"num_images": tf.shape(latents[0])[0], "keep": (PRIOR_NOISE,)}
        trace = model.trace(plans.Given(latents), noise, None, *condition, **options)
        return trace.kept[PRIOR_NOISE]

    graph = model._runner.graph("noise_of", noise_of, model._runner.latents)
    latents = inputs.checked_all_latents(latents, model.latent_shapes)
    return list(model._runner.on_latents(graph, latents, batch_size, condition))


def latents_of(
    model: "Model", noise: Sequence[np.ndarray], condition: Any = None, batch_size: int = 64
) -> list[np.ndarray]:
    """Returns the latents that the prior makes from noise: the inverse of `noise_of`."""

    def latents_of(unused, noise, *condition):
        plan = plans.Prior(tf.ones(model.num_levels))
        options = {"num_images": tf.shape(noise[0])[0], "keep": (LATENT,)}
        return model.trace(plan, GivenNoise(noise), None, *condition, **options).latents

    graph = model._runner.graph("latents_of", latents_of, model._runner.latents)
    noise = inputs.checked_all_latents(noise, model.latent_shapes)
    return list(model._runner.on_latents(graph, noise, batch_size, condition))


def temperatures(model: "Model", temperature: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns one temperature per level."""
    return inputs.checked_temperatures(temperature, model.num_levels)


def check_images(model: "Model", images: Any) -> np.ndarray:
    """Returns images as a uint8 array of the model's shape; see `inputs.checked_images`."""
    return inputs.checked_images(images, model.image_shape)


def natural_condition(model: "Model", images: np.ndarray) -> np.ndarray | None:
    """Returns the condition that follows from images; None of an unconditional model."""
    if model.condition is None:
        return None
    return model.condition.natural(tf.constant(model.check_images(images))).numpy()


def decoder_of_prefix(model: "Model", num_levels: int, decoder: str | None = None) -> str:
    """Returns which decoder `reconstruct` takes for a prefix; see `inputs.checked_decoder`."""
    return inputs.checked_decoder(num_levels, decoder, model.decoded_prefixes)


def readout_of(model: "Model", num_levels: int, decoder: str | None = None) -> Any:
    """Returns the readout that `reconstruct` takes; None for the model itself."""
    is_own = model.decoder_of_prefix(num_levels, decoder) == inputs.OWN
    return model.readouts.get(num_levels) if is_own else None
