"""`sample` as StableHLO, by TensorFlow's own compiler: for runtimes that are not TensorFlow."""

import re

import keras
import tensorflow as tf

from pcvae.distributions.noise import SeededNoise
from pcvae.export.endpoints import SEED_SPEC
from pcvae.models import Prior
from pcvae.models.base import HierarchicalModel

FILE = "sample.stablehlo.mlir"
_NAMED_LOCATION = re.compile(r"^#loc\d* = loc\(.*\)\n", re.MULTILINE)
_LOCATION = re.compile(r" loc\((?:[^()]|\([^()]*\))*\)")


def sample_as_stablehlo(model: HierarchicalModel, num_samples: int) -> str:
    """Returns `sample` as a StableHLO module, in MLIR's text form.

    Its ``main`` takes temperature float32 [levels] and seed int32 [2] and returns uint8 images. The
    weights are constants in it; the number of samples is part of it, since the compiler gives
    static shapes alone.

    Args:
        model: a model without a condition.
        num_samples: images that a call draws.

    Returns:
        The text.
    """
    weights = list(model.named_weights.values())
    values = [weight.numpy() for weight in weights]

    def sample(temperature, seed):
        # Constants of the graph: what a function captures would be an argument of the module.
        mapping = [
            (weight, tf.constant(value)) for weight, value in zip(weights, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=mapping):
            noise = SeededNoise(seed, tf.constant(0, tf.int64))
            return model.draw(Prior(temperature), noise, num_images=num_samples)

    specs = (tf.TensorSpec((model.num_levels,), tf.float32, name="temperature"), SEED_SPEC)
    compiled = tf.function(sample, input_signature=specs, autograph=False, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(*specs)(stage="stablehlo")
    return _LOCATION.sub("", _NAMED_LOCATION.sub("", text))  # lines of our source, and its place
