"""A run directory without the training: what `train` leaves, of a model that nobody trained."""

import json

from pcvae import models, training
from tests.models import tiny


def write_run(run_dir, arrays, seed=0, step=1, model=None):
    """Writes a model, its averaged weights, and where the data come from; returns the directory."""
    model = model or tiny.random_weights(models.VDVAE(**tiny.LARGER_ARGUMENTS), 0.2, seed)
    run_dir.mkdir(exist_ok=True)
    models.write_model(model, run_dir / "model.json")
    state = {"ema": model.named_weights}
    training.Checkpoints(run_dir / "checkpoints", state).save(step)
    run = {"data": {"spec": f"arrays:{arrays}"}, "batch_size": 4}
    (run_dir / "run.json").write_text(json.dumps(run))
    return run_dir
