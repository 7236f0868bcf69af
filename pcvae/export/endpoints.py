"""The endpoints of an exported model: functions of tensors that hold all they need."""

import functools
from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.noise import SeededNoise
from pcvae.models import LATENT, Given, Posterior, Prior, posterior_prefix
from pcvae.models.base import HierarchicalModel

SEED_SPEC = tf.TensorSpec((2,), tf.int32, name="seed")
COUNT_SPEC = tf.TensorSpec((), tf.int32, name="num_samples")
FIRST_SPEC = tf.TensorSpec((), tf.int64, name="first_sample")
LEVELS_SPEC = tf.TensorSpec((), tf.int32, name="num_levels")


def level_names(model: HierarchicalModel) -> list[str]:
    """Returns the names of a model's latents in exports and files: ``level_000``, the coarsest.

    They have as many digits as the last one needs, so that they sort.
    """
    digits = max(3, len(str(model.num_levels - 1)))
    return [f"level_{index:0{digits}d}" for index in range(model.num_levels)]


class Endpoints(tf.Module):
    """`sample` and its forms, `encode`, `decode`, `reconstruct` and `rates` of a model.

    They compute what the model's methods of these names compute on one batch, from copies of its
    weights. Those that walk alike share the walk, which is traced once. For a model with a
    condition each takes ``condition`` as its last argument.

    Args:
        model: a `VDVAE`, `ConditionalVDVAE` or `StagedVAE`.
        weights_dtype: type in which the weights are held; they are cast to float32 at use.
        batch_size: the number of images that the endpoints take and give; None for any.
        xla: whether `sample`, `sample_range` and `sample_means` are compiled by XLA.
    """

    def __init__(
        self,
        model: HierarchicalModel,
        weights_dtype: str = "float32",
        batch_size: int | None = None,
        xla: bool = False,
    ) -> None:
        super().__init__(name="pcvae")
        named = {
            name: weight
            for name, weight in model.named_weights.items()
            # Those of a stage are for its training alone.
            if "prefix_decoder_" not in name or model.readouts
        }
        with tf.device("CPU:0"):
            self._values = [
                tf.Variable(tf.cast(weight.value, weights_dtype), trainable=False, name=name)
                for name, weight in named.items()
            ]
        self._define(_Frozen(model, list(named.values()), self._values), batch_size, xla)

    def _define(self, frozen, batch_size, xla):
        model = frozen.model
        condition = model.condition
        images = tf.TensorSpec((batch_size, *model.image_shape), tf.uint8, name="images")
        temperature = tf.TensorSpec((model.num_levels,), tf.float32, name="temperature")
        given = [] if condition is None else [_with_batch(condition.spec, batch_size)]

        def define(function, *specs):
            signature = [*specs, *given]
            return tf.function(function, input_signature=signature, autograph=False)

        def shared(function):
            return tf.function(frozen(function), autograph=False)

        @shared
        def drawn(first_sample, num_samples, temperature, seed, *condition):
            noise, options = SeededNoise(seed, first_sample), {"num_images": num_samples}
            trace = model.trace(Prior(temperature), noise, None, *condition, **options)
            return model.head(trace.features)

        @shared
        def inferred(images, seed, *condition):
            trace = model.trace(Posterior(), _noise(seed), images, *condition, keep=(LATENT,))
            return trace.latents, trace.rate_per_level

        def define_drawing(function):
            run = tf.function(function, autograph=False, jit_compile=True) if xla else function

            def checked(first_sample, num_samples, temperature, seed, *condition):
                if batch_size is None:
                    return run(first_sample, num_samples, temperature, seed, *condition)
                check = tf.debugging.assert_equal(
                    num_samples, batch_size, f"this export draws {batch_size} images at once"
                )
                with tf.control_dependencies([check]):
                    seed = tf.identity(seed)
                # A number that loops and noise know.
                return run(first_sample, batch_size, temperature, seed, *condition)

            return define(checked, FIRST_SPEC, COUNT_SPEC, temperature, SEED_SPEC)

        def sample_range(first_sample, num_samples, temperature, seed, *condition):
            params = drawn(first_sample, num_samples, temperature, seed, *condition)
            return model.head.sample(params, model.pixel_noise(SeededNoise(seed, first_sample)))

        def sample_means(*arguments):
            return model.rounded(model.head.mean(drawn(*arguments)))

        def sample(num_samples, temperature, seed, *condition):
            first_sample = tf.constant(0, tf.int64)
            return self.sample_range(first_sample, num_samples, temperature, seed, *condition)

        def encode(images, seed, *condition):
            latents, _ = inferred(images, seed, *condition)
            return dict(zip(level_names(model), latents, strict=True))

        def reconstruct(images, num_levels, seed, *condition):
            expected = f"num_levels: expected 0 to {model.num_levels}"
            checks = [
                tf.debugging.assert_non_negative(num_levels, expected),
                tf.debugging.assert_less_equal(num_levels, model.num_levels, expected),
            ]
            with tf.control_dependencies(checks):
                num_levels = tf.identity(num_levels)

            def by_the_model():
                plan = posterior_prefix(num_levels, tf.zeros(model.num_levels))
                output = model.output(plan, _noise(seed), images, *condition)
                return model.rounded(output.reconstruction)

            def by_its_own_decoder(length):
                latents, _ = inferred(images, seed, *condition)
                return model.rounded(model.readouts[length](latents[:length]))

            def by_its_estimate():
                given = images, _noise(seed), num_levels
                return model.rounded(model.prefix_reconstruction(*given, *condition))

            result = by_the_model
            if model.prefix_reconstruction is not None:
                return tf.cond(num_levels > 0, by_its_estimate, by_the_model)
            for length in model.readouts:
                own = functools.partial(by_its_own_decoder, length)
                result = functools.partial(tf.cond, num_levels == length, own, result)
            return result()

        def rates(images, seed, *condition):
            return inferred(images, seed, *condition)[1]

        def decode(condition=None, **latents):
            given = [] if condition is None else [condition]
            levels = tuple(latents[name] for name in level_names(model))
            if (readout := model.readout_of(model.num_levels)) is not None:
                return model.rounded(readout(levels))
            seed = tf.zeros((2,), tf.int32)  # nothing is drawn
            options = {"num_images": tf.shape(levels[0])[0]}
            output = model.output(Given(levels), _noise(seed), None, *given, **options)
            return model.rounded(output.reconstruction)

        self.sample_range = define_drawing(sample_range)
        self.sample_means = define_drawing(sample_means)
        self.sample = define(sample, COUNT_SPEC, temperature, SEED_SPEC)
        self.encode = define(encode, images, SEED_SPEC)
        self.reconstruct = define(frozen(reconstruct), images, LEVELS_SPEC, SEED_SPEC)
        self.rates = define(rates, images, SEED_SPEC)
        self.decode = tf.function(frozen(decode), autograph=False)
        shapes = zip(level_names(model), model.latent_shapes, strict=True)
        # Latents are arguments by name: their number is that of the model's levels.
        self._decode_specs = {
            **{name: tf.TensorSpec((batch_size, *shape), name=name) for name, shape in shapes},
            **{spec.name: spec for spec in given},
        }
        self.decode.get_concrete_function(**self._decode_specs)

    def signatures(self) -> dict[str, Any]:
        """Returns {name: function}, whose outputs have names, too.

        They are traced when they are saved, and only then: saving traces anew.
        """

        def named(function, output):
            return tf.function(
                lambda *arguments: {output: function(*arguments)},
                input_signature=function.input_signature,
                autograph=False,
            )

        concrete = self.decode.get_concrete_function(**self._decode_specs)
        decode = tf.function(lambda **given: {"images": concrete(**given)}, autograph=False)
        return {
            "sample": named(self.sample, "images"),
            "sample_range": named(self.sample_range, "images"),
            "sample_means": named(self.sample_means, "images"),
            "encode": self.encode,
            "decode": decode.get_concrete_function(**self._decode_specs),
            "reconstruct": named(self.reconstruct, "images"),
            "rates": named(self.rates, "rates_nats"),
        }


class _Frozen:
    """Makes functions read exported values wherever they name a weight of the model."""

    def __init__(self, model, weights, values):
        self.model = model
        self._weights, self._values = weights, values

    def __call__(self, function):
        def run(*arguments, **named):
            mapping = [
                (weight, tf.cast(value, weight.dtype))
                for weight, value in zip(self._weights, self._values, strict=True)
            ]
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments, **named)

        run.__name__ = function.__name__
        return run


def _noise(seed):
    return SeededNoise(seed, tf.constant(0, tf.int64))


def _with_batch(spec, batch_size):
    return tf.TensorSpec((batch_size, *spec.shape[1:]), spec.dtype, name=spec.name)
