"""The interface of the zoo: what every hierarchical model is, and what follows from its walk."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_image_shape
from pcvae.distributions.noise import Noise, seeded_noise
from pcvae.errors import UserError
from pcvae.layers.plan import Plan, Posterior
from pcvae.layers.top_down_pass import batch_size_of
from pcvae.layers.walk import LATENT
from pcvae.models import arrays, description, inference, recalibration, weights
from pcvae.models.architecture import Architecture
from pcvae.models.batches import BatchRunner
from pcvae.models.conditions import UNCONDITIONAL, Condition, GivenCondition
from pcvae.models.description import Level, StageDescription
from pcvae.models.inputs import checked_batch
from pcvae.models.keras_loops import KerasLoops
from pcvae.outputs import Trace, VDVAEOutput


class HierarchicalModel(KerasLoops, abc.ABC):
    """A model with latents z_1 ... z_L: p(x, z), q(z | x), and everything that follows from them.

    Images are uint8 [batch, height, width, channels]. ``model(images)`` returns a `VDVAEOutput`;
    the functions of `models.arrays` and `models.inference` are its methods for arrays. Keras' `fit`
    minimises the negative ELBO in nats per dimension.

    A model says `levels`, `evidence`, `walk`, `describe` and ``get_config``, and has a ``head``.
    The rest is written once, here and in those modules. It may further have

    * a condition (`pcvae.models.conditions`), which `walk` and `evidence` then take;
    * ``prefix_decoders``, readouts of prefixes that are trained together with it: each layer has
      ``num_levels``, K, and maps the latents z_1:K to an image.

    Args:
        image_shape: (height, width, channels).
        condition: a `Condition`; None for an unconditional model.
        **kwargs: ``name`` and ``dtype`` of a Keras model.
    """

    head: keras.layers.Layer
    # Of a convolutional model; readouts take their form from it.
    architecture: Architecture | None = None
    # Of a model that decodes every prefix by itself: function (images, noise, K, condition=None) ->
    # what it makes of z_1:K from the posterior, [batch, height, width, channels] in [-1, 1].
    prefix_reconstruction: Callable | None = None
    # Whether the sum of the first K rates of an output has the rate of the prefix z_1:K as its
    # expectation, and none is negative. Otherwise it is an upper bound on that rate for K below all
    # levels; see `quantities.UPPER_BOUNDS`.
    rates_of_prefixes_are_exact: bool = True

    def __init__(
        self, image_shape: Sequence[int], condition: Condition | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.condition = condition
        self.prefix_decoders: list = []
        self._runner = BatchRunner(self)

    # What follows for arrays.
    sample = arrays.sample
    reconstruct = arrays.reconstruct
    encode = arrays.encode
    decode = arrays.decode
    edit = arrays.edit
    noise_of = arrays.noise_of
    latents_of = arrays.latents_of
    rate_per_level = inference.rate_per_level
    rate_maps = inference.rate_maps
    features = inference.features
    temperatures = arrays.temperatures
    check_images = arrays.check_images
    natural_condition = arrays.natural_condition
    decoder_of_prefix = arrays.decoder_of_prefix
    readout_of = arrays.readout_of
    recalibrated = recalibration.recalibrated

    # What follows from the levels.
    num_levels = property(description.num_levels)
    level_resolutions = property(description.level_resolutions)
    level_groups = property(description.level_groups)
    latent_shapes = property(description.latent_shapes)
    prefixes = property(description.prefixes)
    stage_ends = property(description.stage_ends)

    # Weights by name.
    named_weights = property(weights.named_weights)
    trained_weights = property(weights.trained_weights)
    statistics = property(weights.statistics)
    frozen_weights = property(weights.frozen_weights)
    frozen_names = property(weights.frozen_names)
    freeze = weights.freeze
    twin = weights.twin
    __deepcopy__ = weights.deep_copy

    # What a model says.

    @property
    @abc.abstractmethod
    def levels(self) -> tuple[Level, ...]:
        """The levels of latents, in the order in which they are drawn."""

    @abc.abstractmethod
    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> Any:
        """Returns what the posterior sees of uint8 images, as `walk` takes it."""

    @abc.abstractmethod
    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        """Goes through the levels; see `layers.TopDown.walk`."""

    @abc.abstractmethod
    def describe(self) -> tuple[StageDescription, ...]:
        """Returns the description of each stage, for the level table."""

    def weights_of_prefix(self, num_levels: int) -> dict:
        """Returns {name: variable} of all that p(z_1:K) and q(z_1:K | x) are computed from.

        Raises:
            UserError: the levels of the prefix share variables with later ones.
        """
        raise UserError(f"{type(self).__name__} does not say what the weights of a prefix are")

    def pixel_noise(self, noise: Noise) -> Noise:
        """Returns the noise that the head draws pixels with."""
        return noise

    @property
    def readouts(self) -> dict[int, keras.layers.Layer]:
        """{K: readout} of the prefixes that have one, ascending."""
        return {readout.num_levels: readout for readout in self.prefix_decoders}

    @property
    def decoded_prefixes(self) -> tuple[int, ...]:
        """Numbers of levels K of the prefixes that the model decodes; the last holds all levels."""
        return (*self.readouts, self.num_levels)

    # What follows from the walk, in a graph.

    def trace(
        self,
        plan: Plan,
        noise: Noise,
        images: tf.Tensor | None = None,
        condition: Any = None,
        num_images: Any = None,
        keep: Sequence[str] = (),
    ) -> Trace:
        """Reads condition and evidence, and walks.

        Args:
            plan: where the latents come from.
            noise: a `SeededNoise` or `GivenNoise`.
            images: uint8 [batch, height, width, channels], for a plan that reads evidence.
            condition: of a conditional model, one for each image; it may be left out where it
                follows from the images.
            num_images: number of examples; by default that of the images.
            keep: see `walk`.
        """
        if self.condition is not None and condition is None and images is not None:
            condition = self.condition.natural(images)
        given = self.read_condition(condition)
        num_images = batch_size_of(images) if num_images is None else num_images
        evidence = self.evidence(images, given) if plan.reads_evidence else None
        return self.walk(plan, noise, num_images, evidence, given, keep)

    def output(self, plan: Plan, noise: Noise, *args: Any, **kwargs: Any) -> VDVAEOutput:
        """Walks, and returns what the head makes of it, without a likelihood; see `trace`."""
        trace = self.trace(plan, noise, *args, **kwargs)
        params = self.head(trace.features)
        return VDVAEOutput(
            head_params=params,
            reconstruction=self.head.mean(params),
            latents=trace.latents,
            rate_per_level=trace.rate_per_level,
            nll=None,
            stage_reconstructions=trace.stage_reconstructions,
        )

    def training_output(
        self, images: tf.Tensor, noise: Noise, condition: Any = None
    ) -> VDVAEOutput:
        """Returns what an objective sees in a step of training: by default `posterior_output`.

        A model of very many levels may draw one of them instead, and return estimates that are
        right on average.
        """
        return self.posterior_output(images, noise, condition)

    def posterior_output(
        self,
        images: tf.Tensor,
        noise: Noise,
        condition: Any = None,
        keep_latents: bool = False,
        pointwise: bool = False,
    ) -> VDVAEOutput:
        """Draws every latent from the posterior; see `trace` for images, noise and condition.

        Args:
            keep_latents: whether the output holds the latents.
            pointwise: see `Posterior`.
        """
        keep = (LATENT,) if keep_latents or self.readouts else ()
        output = self.output(Posterior(pointwise), noise, images, condition, keep=keep)
        head, params = self.head, output.head_params
        return output._replace(
            latents=output.latents if keep_latents else (),
            nll=head.negative_log_likelihood(params, images) if head.has_likelihood else None,
            surrogate=head.surrogate_nats(params, images) if head.has_surrogate else None,
            prefix_reconstructions={k: r(output.latents) for k, r in self.readouts.items()},
        )

    def draw(self, plan: Plan, noise: Noise, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Walks, then draws pixels from the head: uint8 images; see `trace`."""
        params = self.head(self.trace(plan, noise, *args, **kwargs).features)
        return self.head.sample(params, self.pixel_noise(noise))

    def rounded(self, signed: tf.Tensor) -> tf.Tensor:
        """Rounds pixels on [-1, 1] to uint8 images of the model's bit depth."""
        return units.images_from_signed(signed, self.head.bit_depth)

    def read_condition(self, condition: Any) -> GivenCondition:
        """Returns a batch of conditions as `walk` and `evidence` take it.

        Raises:
            UserError: there is one, and the model is unconditional.
        """
        if self.condition is not None:
            return self.condition.read(self.condition_encoder, self.image_shape[0], condition)
        if condition is not None:
            raise UserError(f"{self.name} takes no condition: make the model with one")
        return UNCONDITIONAL

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> VDVAEOutput:
        """Checks the images, then calls the layer: Keras would wrap errors of `call` in lines."""
        return super().__call__(checked_batch(images, self.image_shape), *args, **kwargs)

    def call(
        self,
        images: tf.Tensor,
        noise: Noise | None = None,
        keep_latents: bool = False,
        condition: Any = None,
        training: bool = False,
        pointwise: bool = False,
    ) -> VDVAEOutput:
        """See `posterior_output`, and in training `training_output`. The default seed is 0."""
        noise = seeded_noise(0) if noise is None else noise
        if training and not pointwise:
            return self.training_output(images, noise, condition)
        return self.posterior_output(images, noise, condition, keep_latents, pointwise)

    @classmethod
    def from_config(cls, config: dict) -> Self:
        return cls(**config)
