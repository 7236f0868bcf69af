"""The goldens of the public reference, as tests read them; see ``tests/goldens/README.md``."""

import json
from pathlib import Path

import numpy as np

from pcvae.distributions.noise import GivenNoise
from pcvae.models import VDVAE

GOLDENS = Path(__file__).parents[1] / "goldens"


def read_golden(name):
    """Returns {name: array} of a golden, "small" or "wide"."""
    with np.load(GOLDENS / f"vdvae_reference_{name}.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def weights_of(golden):
    """Returns {name in the reference: array} of the weights of a golden."""
    prefix = "weight/"
    return {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}


def given(golden, kind):
    """Returns the noise that the reference drew: kind is "posterior_noise" or "prior_noise"."""
    names = sorted(name for name in golden if name.startswith(f"{kind}/"))
    return GivenNoise(tuple(golden[name] for name in names))


def vdvae_of(golden, **arguments):
    """Returns the `VDVAE` of a golden's layer strings and widths, its weights fresh."""
    meta = json.loads(str(golden["meta"]))
    return VDVAE(
        encoder_blocks=meta["enc_blocks"],
        decoder_blocks=meta["dec_blocks"],
        width=meta["width"],
        latent_width=meta["zdim"],
        bottleneck=meta["bottleneck_multiple"],
        width_per_resolution=meta["custom_width_str"],
        no_bias_above=meta["no_bias_above"],
        num_mixtures=meta["num_mixtures"],
        **arguments,
    )
