"""One image from one prefix; on models, tests/runs/test_explore.py."""

import numpy as np

from pcvae import measure


def test_an_exact_reconstruction_has_no_psnr():
    class Exact:
        image_shape = (1, 1, 1)

        def rate_per_level(self, images, seed):
            return np.array([[np.log(2), np.log(2)]])

        def reconstruct(self, images, num_levels, seed):
            return images

    _, measured = measure.single_prefix(Exact(), np.full((1, 1, 1, 1), 7, np.uint8), 1)
    assert measured == {"rate_bits": 1.0, "rate_bits_per_dim": 1.0, "psnr_db": None}
