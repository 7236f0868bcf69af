"""Runs of a few steps on a few tiny pictures, for commands whose steps are processes."""

import numpy as np

from pcvae.data.synthetic import draw_image

TINY = [
    "--gin.BATCH_SIZE=4",
    "--gin.IMAGE_SIZE=4",
    "--gin.WIDTH=8",
    "--gin.MIN_WIDTH=4",
    "--gin.MAX_WIDTH=8",
    "--gin.LATENT_WIDTH=2",
    "--gin.TRAIN_STEPS=2",
]


def write_pictures(folder):
    """Writes drawn pictures of 4x4 pixels, for models of two resolutions; returns --data."""
    splits = {
        split: np.stack([draw_image(0, split, index, 16)[::4, ::4] for index in range(count)])
        for split, count in {"train": 8, "validation": 4, "test": 5}.items()
    }
    np.savez(folder / "pictures.npz", **splits)
    return f"arrays:{folder / 'pictures.npz'}"


def assert_starts_nothing(main, arguments, message, capsys, folder):
    """Checks that a command, called in a folder, gives one line and leaves nothing."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("pcvae: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not list(folder.iterdir())
