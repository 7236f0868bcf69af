"""The models that every promise is held against: one line each, every class of the registry."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pcvae import models
from tests.models import tiny

# A likelihood of few operations, for entries whose promise is not the head.
GAUSSIAN = {"head": "gaussian"}


class Entry(NamedTuple):
    """A tiny model, and the condition that it is given for some images, if any."""

    make: Callable
    condition: Callable | None = None  # of the number of images


def _images(count):
    return tiny.random_images(count, seed=7)


def _small_images(count):
    return _images(count)[:, ::2, ::2]


def _features(count):
    return np.random.default_rng(3).normal(size=(count, 4, 4, 5)).astype(np.float32)


def _labels(count):
    return np.arange(count, dtype=np.int32) % 3


def _staged(see, num_frozen=0):
    first = tiny.first_stage()
    model = models.StagedVAE([first, tiny.next_stage([first], see, **GAUSSIAN)], see)
    model.freeze_stages(num_frozen)
    return model


def _frozen_prefix():
    fine = {"encoder_blocks": tiny.ENCODER_WITH_A_FINE_BLOCK}
    model = tiny.vdvae(unshared_prefix=1, **fine, **GAUSSIAN)
    model.freeze(model.weights_of_prefix(1))
    return model


DENOISER = {
    "width": 4,
    "multipliers": (1,),
    "blocks_per_resolution": 1,
    "attention_resolutions": (),
}


def _dense(name):
    model_class = models.registered_models()[name]
    model = model_class(tiny.IMAGE_SHAPE, (2, 3), (5, 6), bit_depth=8, **GAUSSIAN)
    return tiny.random_weights(model)


def _convolutional_bottom_up():
    return tiny.random_weights(
        models.ConvolutionalBottomUpVAE(tiny.IMAGE_SHAPE, (2,), 6, latent_width=2, **GAUSSIAN)
    )


def _nvae():
    # Of one stack, whose graphs are small, and with rates that float32 tells apart.
    one_side = {"encoder_blocks": "4x1", "decoder_blocks": "4x2"}
    return tiny.random_weights(models.NVAE(**tiny.ARGUMENTS | one_side | GAUSSIAN), scale=0.1)


LABEL = {"kind": "label", "num_classes": 3}

ENTRIES = {
    "vdvae": Entry(tiny.vdvae),
    "linear": Entry(tiny.first_stage),
    "gaussian": Entry(functools.partial(tiny.vdvae, decoder_blocks="1x2,4m1", **GAUSSIAN)),
    "readouts": Entry(functools.partial(tiny.vdvae, prefix_decoders=(1,), **GAUSSIAN)),
    "frozen_prefix": Entry(_frozen_prefix),
    "super_resolution": Entry(
        functools.partial(tiny.conditional, condition_shape=(2, 2, 3), residual=True, **GAUSSIAN),
        _small_images,
    ),
    "features": Entry(
        functools.partial(tiny.conditional, condition="features", condition_shape=(4, 4, 5)),
        _features,
    ),
    "ladder": Entry(lambda: tiny.random_weights(models.LadderVAE(**tiny.ARGUMENTS))),
    "nvae": Entry(_nvae),
    "ddpm": Entry(
        lambda: tiny.random_weights(
            models.DDPM(tiny.IMAGE_SHAPE, betas=(0.1, 0.7), variance="upper", **DENOISER)
        )
    ),
    "dense_ladder": Entry(functools.partial(_dense, "DenseLadderVAE")),
    "bottom_up": Entry(functools.partial(_dense, "BottomUpVAE")),
    "convolutional_bottom_up": Entry(_convolutional_bottom_up),
    "label": Entry(functools.partial(tiny.vdvae, condition=LABEL, **GAUSSIAN), _labels),
    "staged": Entry(functools.partial(_staged, "reconstruction")),
    "staged_by_features": Entry(functools.partial(_staged, "features", num_frozen=1)),
}

# Without those whose walk, and way to disk and through a step, is that of another entry.
DISTINCT = [name for name in ENTRIES if name not in ("linear", "label", "features")]
