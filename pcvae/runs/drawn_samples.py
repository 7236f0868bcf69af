"""Images that are drawn or taken when they are read, slice by slice: no memory holds them all."""

from typing import Any

import numpy as np

from pcvae import models


class InTurn:
    """The first so many of some images, from the start again after the last."""

    def __init__(self, images: Any, count: int) -> None:
        """Keeps the images, uint8 array-like [num_images, ...], and how many there are to be."""
        self._images, self._count = images, count

    def __len__(self):
        """Number of images."""
        return self._count

    def __getitem__(self, places):
        """Returns the images of a slice that has a stop."""
        indices = np.arange(places.start or 0, min(places.stop, self._count)) % len(self._images)
        return np.stack([self._images[index] for index in indices])


class Samples:
    """A model's samples as images that are drawn when they are read, slice by slice."""

    def __init__(
        self,
        model: models.HierarchicalModel,
        num_samples: int,
        temperature: float,
        seed: int,
        pixels: str,
        conditioning: np.ndarray | None = None,
    ) -> None:
        """Keeps what to draw; ``conditioning`` are images that conditions follow from, in turn."""
        self._model, self._count, self._conditioning = model, num_samples, conditioning
        self._arguments = {"temperature": temperature, "seed": seed, "pixels": pixels}

    def __len__(self):
        """Number of samples."""
        return self._count

    def __getitem__(self, places):
        """Draws the samples of a slice that has a stop: uint8 [n, height, width, channels].

        The slice is drawn whole and then cut where the samples end: the size of a batch may change
        the last bit of what is computed.
        """
        start = places.start or 0
        batch = self._draw(start, places.stop - start)
        return batch[: self._count - start]

    def check(self) -> None:
        """Raises UserError if the arguments do not fit the model."""
        self._draw(0, 0)

    def _draw(self, start, count):
        given = {}
        if self._conditioning is not None:
            # One more, since none follows from no image.
            end = start + count + 1
            images = InTurn(self._conditioning, end)[start:end]
            given = {"condition": self._model.natural_condition(images)[:count]}
        return self._model.sample(count, first_sample=start, **self._arguments, **given)
