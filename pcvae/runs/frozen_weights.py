"""What a run leaves as it is: the frozen weights beside its checkpoints, and the proof of it."""

from typing import Any

import numpy as np

from pcvae import models, training
from pcvae.errors import UserError
from pcvae.progress import progress_of
from pcvae.runs.run_directory import RunDirectory

BEFORE, AFTER = "frozen_weights_sha256_before", "frozen_weights_sha256_after"


class FrozenWeights:
    """The frozen weights of the model of a run; of many models there are none.

    They are kept once, in ``RUN_DIR/frozen``: checkpoints hold what training moves.

    Args:
        model: the model, with its frozen weights as they are to stay.
        directory: the `RunDirectory`.
    """

    def __init__(self, model: models.HierarchicalModel, directory: RunDirectory) -> None:
        self._model, self._directory = model, directory
        self.sha256 = models.frozen_weights_sha256(model) if model.frozen_weights else None

    def check_unchanged(self) -> None:
        """Raises UserError if the run was begun with other frozen weights."""
        if not self._directory.run_json.exists():
            return
        begun_with = self._directory.run().get("frozen_weights_sha256")
        if begun_with != self.sha256:
            raise UserError(
                f"{self._directory}: the run was begun with other weights of the first stage "
                f"(SHA-256 {_short(begun_with)}) than it has now ({_short(self.sha256)}; was it "
                "trained further?): use another --run_dir"
            )

    def save(self) -> None:
        """Writes the weights, if there are some and they are not there yet."""
        if self.sha256 is not None and training.newest(self._directory.frozen) is None:
            state = {"frozen": self._model.frozen_weights}
            training.Checkpoints(self._directory.frozen, state).save(0)

    def proof(self) -> dict[str, str]:
        """Returns the hashes before and after, for the results; {} if nothing is frozen.

        Raises:
            RuntimeError: a frozen weight has changed.
        """
        if self.sha256 is None:
            return {}
        after = models.frozen_weights_sha256(self._model)
        if after != self.sha256:
            raise RuntimeError("training changed frozen weights")
        return {BEFORE: self.sha256, AFTER: after}


def read_frozen(directory: RunDirectory) -> dict[str, np.ndarray]:
    """Returns {name: array} of the frozen weights of a `RunDirectory`; {} if it has none."""
    folder = directory.frozen
    return training.read_group(folder, "frozen") if folder.is_dir() else {}


def frozen_shapes(directory: RunDirectory) -> dict[str, Any]:
    """Returns {name: shape} of what `read_frozen` reads, without reading it."""
    folder = directory.frozen
    return training.group_shapes(folder, "frozen") if folder.is_dir() else {}


def cached_first_stage(
    model: models.StagedVAE, images: np.ndarray, seed: int, batch_size: int
) -> dict[str, np.ndarray]:
    """Computes once what the last stage is given for each training image, from frozen stages.

    See `StagedVAE.earlier_conditions`. Without a cache it is drawn anew at each step.

    Args:
        model: a `StagedVAE` of which only the last stage is trained.
        images: uint8 [num_images, height, width, channels].
        seed: integer, of the posterior.
        batch_size: images at once.

    Returns:
        {"condition": [num_images, ...], "earlier_rates": float32 [num_images, levels]}, as
        `data.training_batches` takes it.

    Raises:
        UserError: the model is no such composition.
    """
    if getattr(model, "num_frozen_stages", 0) == 0:
        raise UserError(
            "cache_first_stage: only a frozen first stage of a StagedVAE can be cached: give the "
            "run that trained it, --first_stage=RUN_DIR, or leave the cache out"
        )
    progress = progress_of("caching the first stage, batches")
    return model.earlier_conditions(images, seed, batch_size, progress)


def _short(digest):
    return "none" if digest is None else digest[:12]
