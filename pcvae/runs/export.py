"""A run as a SavedModel."""

import os
import time
from typing import Any

from pcvae.export import export_model
from pcvae.files import check_new_folder, is_plain_path
from pcvae.runs.load import load


def export(
    *,
    run_dir: str | os.PathLike,
    output: str | os.PathLike,
    weights_dtype: str = "float32",
    batch_size: int | None = None,
    xla: bool = False,
    stablehlo_num_samples: int | None = None,
    fallback: bool = True,
) -> dict[str, Any]:
    """Writes the model of a run, with averaged (EMA) weights, as a SavedModel.

    Args:
        run_dir: a directory that `train` left.
        output: the directory that is written, new or empty.
        weights_dtype: see `export_model`, also for the rest.
        batch_size: the one batch size of the endpoints, or None for any.
        xla: whether sampling is compiled by XLA.
        stablehlo_num_samples: images of a StableHLO file of `sample`, or None.
        fallback: whether an older checkpoint will do; see `load`.

    Returns:
        The record that is written to ``export.json``.

    Raises:
        UserError: the run is damaged, the output is not empty, or an option does not fit.
    """
    check_new_folder(output)
    model = load(run_dir, fallback)
    start = time.monotonic()
    print(f"tracing the endpoints of {model.num_levels} levels; this takes a while", flush=True)
    record = export_model(
        model,
        output,
        weights_dtype=weights_dtype,
        batch_size=batch_size,
        xla=xla,
        stablehlo_num_samples=stablehlo_num_samples,
    )
    error = record["error"]
    if error is not None:
        print(
            f"samples differ from those of the run in "
            f"{100 * error['sample_share_of_pixels_changed']:.3g} % of their values, by at most "
            f"{error['sample_max_abs_levels']} of 255 levels; rates by "
            f"{error['rate_mean_abs_nats']:.3g} nats per image"
        )
    print(f"wrote {output} in {time.monotonic() - start:.0f} s; README.md in it says how to use it")
    if not is_plain_path(os.path.abspath(output)):
        print(
            "its path holds one of [ ] * ? \\ or is not UTF-8: pcvae-sample loads it from there, "
            "TensorFlow alone does not; for other programs move it to a path without these"
        )
    return record
