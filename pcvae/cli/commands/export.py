"""Writes a trained model as a TensorFlow SavedModel that needs nothing but TensorFlow.

Usage:
  pcvae-export --run_dir=runs/quickstart --output=exports/quickstart
  pcvae-export --run_dir=runs/quickstart --output=exports/fast --batch_size=1 --xla
  pcvae-export --run_dir=runs/quickstart --output=exports/half --weights_dtype=bfloat16

The directory holds a README.md about its endpoints, sample, encode, decode, reconstruct and rates,
and an example.py that runs with TensorFlow alone.
"""

from absl import flags

from pcvae.cli import command, shared_flags
from pcvae.errors import UserError
from pcvae.files import check_new_folder


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-export."""
    shared_flags.define_run(values)
    text = "The directory that is written, new or empty."
    shared_flags.define(values, "output", text)
    text = "How weights are held; for the 16-bit types the error is measured and written down."
    dtypes = ["float32", "bfloat16", "float16"]
    flags.DEFINE_enum("weights_dtype", "float32", dtypes, text, flag_values=values)
    text = "The one number of images that the endpoints take (default: any); 1 for least latency."
    shared_flags.define(values, "batch_size", text)
    text = "Compile sampling by XLA: a slow first call, then faster ones."
    flags.DEFINE_bool("xla", False, text, flag_values=values)
    text = "Also write sample.stablehlo.mlir, for so many images (default: no such file)."
    flags.DEFINE_integer("stablehlo_num_samples", None, text, lower_bound=1, flag_values=values)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then exports."""
    run_dir = command.require_run(values.run_dir)
    if not values.output:
        raise UserError("--output is missing: the directory that is written, new or empty")
    check_new_folder(values.output)
    runs = command.import_runs()
    runs.export(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        output=values.output,
        weights_dtype=values.weights_dtype,
        batch_size=values.batch_size,
        xla=values.xla,
        stablehlo_num_samples=values.stablehlo_num_samples,
    )


main = command.Command("export", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
