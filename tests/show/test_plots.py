"""Plots: arrays that TensorBoard and PNG take, whatever the numbers."""

import numpy as np
import pytest

from pcvae.show import rate_by_resolution_plot, rate_distortion_plot, refit_grid


def row(num_levels, rate, error, decoder):
    return {
        "num_levels": num_levels,
        "resolution": 4,
        "rate_bits_per_dim": rate,
        "rate_bits_per_dim_stderr": None if rate is None else 0.1 * rate,
        "distortion_mse": error,
        "distortion_mse_stderr": None,
        "psnr_db": None if not error else 10 * np.log10(4 / error),
        "psnr_db_stderr": 0.1,
        "decoder": decoder,
    }


def assert_is_picture(picture):
    assert picture.dtype == np.uint8
    assert picture.ndim == 3 and picture.shape[-1] == 3
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture)) > 10


@pytest.mark.parametrize(
    "points",
    [
        [(0.1, 0.2), (0.2, 0.1)],
        [(0.0, 0.5), (1e-6, 0.4), (0.01, 0.2), (2.5, 0.001)],
        [(0.0, 0.5)],
        [(0.3, 0.0), (None, 0.2), (0.5, None)],
    ],
)
def test_a_curve_of_any_span_is_drawn(points):
    rows = [row(k, *point, "refit") for k, point in enumerate(points, start=1)]
    assert_is_picture(rate_distortion_plot({"a run": rows}))


def test_every_decoder_and_curve_leaves_its_mark():
    rows = [row(1, 0.1, 0.2, "prior"), row(2, 0.2, 0.1, "prior")]
    pictures = [
        rate_distortion_plot(curves)
        for curves in (
            {"a": rows},
            {"a": [*rows, row(2, 0.2, 0.05, "refit")]},
            {"a": [*rows, row(2, 0.2, 0.05, "own")]},
            {"a": rows, "b": [row(2, 0.2, 0.05, "own")]},
        )
    ]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_more_curves_than_colours():
    curves = {str(i): [row(1, 0.1 * i, 0.1, "own")] for i in range(1, 12)}
    assert_is_picture(rate_distortion_plot(curves))


def test_bits_by_resolution():
    one = {"rate_bits_per_dim": 0.5, "rate_bits_per_dim_stderr": 0.1}
    unknown = {"rate_bits_per_dim": None, "rate_bits_per_dim_stderr": None}
    assert_is_picture(rate_by_resolution_plot({"a": {1: one, 4: one}}))
    assert_is_picture(rate_by_resolution_plot({"a": {1: one, 4: unknown}, "b": {8: one}, "c": {}}))


class _Refitted:
    def reconstruct(self, images, seed):
        return {1: images // 2, 3: images}


def test_the_grid_has_a_row_for_the_originals_and_each_prefix():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    rows = [row(1, 0.1, 0.2, "refit"), row(3, None, 0.0, "refit"), row(3, 1.0, 0.1, "prior")]
    grid = refit_grid(_Refitted(), images, rows)
    assert grid.dtype == np.uint8
    assert grid.shape[0] == 3 * (64 + 4)
