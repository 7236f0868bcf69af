"""What an export says about itself: ``README.md``, ``example.py`` and ``export.json``."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from pcvae.export.endpoints import level_names
from pcvae.models.base import HierarchicalModel

EXAMPLE = '''"""Draws four images and encodes them again; needs nothing but TensorFlow."""

{imports}from pathlib import Path

import tensorflow as tf

here = Path(__file__).resolve().parent
model = tf.saved_model.load(str(here))

temperature = tf.fill([{num_levels}], 1.0)  # one number per level, coarsest first
seed = tf.constant([0, 0], tf.int32)
{condition}images = model.sample({count}, temperature, seed{given})
latents = model.encode(images, seed{given})
again = model.decode(**latents{named})
coarse = model.reconstruct(images, {half}, seed{given})  # from the first levels alone
rates = model.rates(images, seed{given})

print("sample:", images.dtype.name, images.shape)
for name in sorted(latents):
    print(f"{{name}}:", latents[name].shape)
print("nats per image:", [round(float(rate), 3) for rate in tf.reduce_sum(rates, axis=1)])
{save}'''
_SAVE = """strip = tf.concat(list(images) + list(again) + list(coarse), axis=1)
paths = (Path(f"samples_{number}.png") for number in itertools.count(1))
path = next(path for path in paths if not path.exists())  # nothing is overwritten
with path.open("xb") as file:
    file.write(tf.io.encode_png(strip).numpy())
print(f"wrote {path}: samples, their reconstructions, and those of the first levels")
"""

README = """\
# An exported model of pcvae

A {class_name} of {shape} images with {num_levels} levels of latents, as a TensorFlow SavedModel:
averaged (EMA) weights in {weights_dtype}, computation in {precision}. It needs TensorFlow
({tensorflow} wrote it) and nothing else; `python example.py` tries it.

```python
model = tf.saved_model.load("THIS_DIRECTORY")
images = model.sample({count}, tf.fill([{num_levels}], 1.0), tf.constant([0, 0]){given})
```

| endpoint | arguments | returns |
|---|---|---|
| `sample` | `num_samples`, `temperature`, `seed`{condition} | `images` |
| `sample_range` | `first_sample`, `num_samples`, `temperature`, `seed`{condition} | `images` |
| `sample_means` | as of `sample_range` | `images`, without the noise of pixels |
| `encode` | `images`, `seed`{condition} | latents of the posterior, a dict by name |
| `decode` | the latents as keywords by name{condition_keyword} | `images` |
| `reconstruct` | `images`, `num_levels`, `seed`{condition} | `images` |
| `rates` | `images`, `seed`{condition} | `rates_nats` float32 [batch, {num_levels}] |

Each is a function of the loaded object, and an entry of its `signatures`, which take keywords and
give dicts. Arguments are tensors of the types below: what is no tensor yet, TensorFlow casts. So
make a tensor of images first, `tf.constant(images)`: of another type it is refused, where an array
of floats in [0, 1] would become black.

- **Images** are uint8 [{batch}, {shape_list}] in 0..255. {batch_words}
- **`temperature`**, float32 [{num_levels}], scales the standard deviation of the prior level by
  level, coarsest first; 1 is the model, 0 takes the means.
- **`seed`**, int32 [2]. Equal seeds give equal images. `[s, 0]` is the integer seed s of pcvae; an
  s of 2^31 or more stands as s - 2^32.
- **`num_samples`** int32, **`first_sample`** int64: image i of a seed is the same whatever else is
  drawn, up to the rounding of the last digit in another batch. `sample_range` draws images
  first_sample, first_sample + 1 and so on.
- **Latents** are float32, coarsest level first:
{levels}
{stage_words}- **`num_levels`**, int32 from 0 to {num_levels}: `reconstruct` takes so many
  levels from the posterior and the means of the prior below{own_words}.
  `decode(**encode(images, seed))` equals `reconstruct` of all {num_levels}. Reconstructions are the
  mean of the output distribution.
- **Rates** are KL divergences of posterior and prior, in nats for each image and level.
{condition_words}{xla_words}{error_words}{stablehlo_words}
A SavedModel is a program: load those of people whom you trust. `pcvae-sample --export=DIR` checks
first that one holds nothing but arithmetic.
"""


def describe(
    model: HierarchicalModel, options: Mapping[str, Any], error: dict | None
) -> dict[str, Any]:
    """Returns the record of an export as it goes into ``export.json``.

    Args:
        model: the model.
        options: dict with weights_dtype, batch_size, xla and stablehlo_num_samples.
        error: what `measure_error` returns, or None for an export that is exact.
    """
    shapes = zip(level_names(model), model.latent_shapes, strict=True)
    condition = model.condition
    policies = [stage.dtype_policy for stage in getattr(model, "stages", [model])]
    return {
        "format_version": 1,
        "class": type(model).__name__,
        "image_shape": list(model.image_shape),
        "bit_depth": model.head.bit_depth,
        "levels": [{"name": name, "shape": list(shape)} for name, shape in shapes],
        "condition": condition
        and {
            "kind": condition.kind,
            "shape": list(condition.shape),
            "num_classes": condition.num_classes,
            "words": condition.in_words,
        },
        "stage_ends": list(model.stage_ends),
        "own_prefixes": list(model.decoded_prefixes[:-1]),
        "weights": "ema",
        "precision": " and ".join(sorted({policy.name for policy in policies})),
        **options,
        "error": error,
        "tensorflow": tf.__version__,
    }


def readme(record: Mapping[str, Any]) -> str:
    """Returns the text of ``README.md``."""
    batch, condition = record["batch_size"], record["condition"]
    levels = [f"  - `{level['name']}` [{_sizes(level['shape'])}]" for level in record["levels"]]
    return README.format(
        class_name=record["class"],
        shape="x".join(map(str, record["image_shape"])),
        shape_list=_sizes(record["image_shape"]),
        num_levels=len(record["levels"]),
        weights_dtype=record["weights_dtype"],
        precision=record["precision"],
        tensorflow=record["tensorflow"],
        count=batch or 4,
        given=", condition" if condition else "",
        condition=", `condition`" if condition else "",
        condition_keyword=" and `condition`" if condition else "",
        batch="batch" if batch is None else batch,
        batch_words="Any batch size will do."
        if batch is None
        else f"This export takes and returns exactly {batch} at once, `num_samples` included.",
        levels="\n".join(levels),
        own_words=_own_words(record["own_prefixes"], len(record["levels"])),
        stage_words=_stage_words(record["stage_ends"]),
        condition_words=f"- **Condition**: {condition['words']}, one for each image.\n"
        if condition
        else "",
        xla_words="- **XLA** compiles `sample` and its forms, once for each number of "
        "images: the first call takes long.\n"
        if record["xla"]
        else "",
        error_words=_error_words(record["error"]),
        stablehlo_words=_stablehlo_words(record["stablehlo_num_samples"]),
    )


def example(record: Mapping[str, Any]) -> str:
    """Returns the text of ``example.py``."""
    condition, num_levels = record["condition"], len(record["levels"])
    count, saves = record["batch_size"] or 4, record["image_shape"][-1] != 2
    lines = ""
    if condition:
        shape = [count, *condition["shape"]]
        dtype = {"image": "uint8", "features": "float32", "label": "int32"}[condition["kind"]]
        lines = f"condition = tf.zeros({shape}, tf.{dtype})  # yours: {condition['words']}\n"
    return EXAMPLE.format(
        num_levels=num_levels,
        condition=lines,
        count=count,
        given=", condition" if condition else "",
        named=", condition=condition" if condition else "",
        half=max(1, num_levels // 2),
        imports="import itertools\n" if saves else "",
        save=_SAVE if saves else "",
    )


def _sizes(shape):
    return ", ".join(map(str, shape))


def _stage_words(ends):
    if len(ends) == 1:
        return ""
    parts = [f"{end - start}" for start, end in zip([0, *ends], ends, strict=False)]
    return f"- **Stages**: {len(ends)}, of {', '.join(parts)} levels, in this order.\n"


def _own_words(prefixes, num_levels):
    if not prefixes:
        return ""
    if len(prefixes) == num_levels - 1:
        return ";\n  but from 1 on, any number of levels goes through a decoder of its own"
    return f"; {' and '.join(map(str, prefixes))} levels alone go through decoders of their own"


def _error_words(error):
    if error is None:
        return ""
    return (
        "- **Error**, measured when this was written, against float32 weights without XLA on "
        f"{error['num_images']} samples of the model: samples of the same seed differ in "
        f"{100 * error['sample_share_of_pixels_changed']:.3g} % of their values, by "
        f"{error['sample_mean_abs_levels']:.3g} of 255 levels on average and "
        f"{error['sample_max_abs_levels']} at most; reconstructions by "
        f"{error['reconstruction_mean_abs_levels']:.3g} on average and "
        f"{error['reconstruction_max_abs_levels']} at most; the rate by "
        f"{error['rate_mean_abs_nats']:.3g} of {error['rate_mean_nats']:.4g} nats per image.\n"
    )


def _stablehlo_words(num_samples):
    if num_samples is None:
        return ""
    return (
        f"- **`sample.stablehlo.mlir`** is `sample` of {num_samples} images as StableHLO, for "
        "runtimes that are not TensorFlow: `main(temperature, seed)`; the weights are constants in "
        "it, in float32.\n"
    )
