"""The web application behind the page: each request is one call of the model.

Requests are forms, answers JSON: pictures as data URIs, numbers with their unit in the name, or
``error``, one line. Nothing that is sent is kept or executed.
"""

import base64
import secrets
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from pcvae import data, measure, models, show
from pcvae.checks import check_integer
from pcvae.errors import UserError

MAX_UPLOAD_BYTES = 16 * 2**20
MAX_SAMPLES = 64


def make_app(
    flask: ModuleType,
    model: models.HierarchicalModel,
    title: str,
    trusted_hosts: list[str] | None = None,
) -> Any:
    """Returns the Flask application of a model.

    Args:
        flask: the module.
        model: a `VDVAE` or `StagedVAE`; or one whose condition follows from the image, for
            prefixes alone.
        title: what the page calls the model.
        trusted_hosts: the names of this machine that are answered to; None for any.

    Raises:
        UserError: the model needs a condition that no picture gives.
    """
    refused = refusal(model)
    app = flask.Flask("pcvae.explore", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_UPLOAD_BYTES, TRUSTED_HOSTS=trusted_hosts)
    one_at_a_time = threading.Lock()

    @app.get("/")
    def page():
        return show.render_page(
            "explore.html",
            title=f"Explore {title}",
            model=model,
            refused=refused,
            max_samples=MAX_SAMPLES,
            max_upload_bytes=MAX_UPLOAD_BYTES,
            below=list(show.BELOW),
            nonce=secrets.token_urlsafe(16),
        )

    def answer(function):
        def view():
            if refused and function is not prefix:
                raise UserError(refused)
            request = flask.request
            with one_at_a_time:
                return function(model, request.form, request.files)

        app.post(f"/{function.__name__}", endpoint=function.__name__)(view)

    for function in (sample, prefix, swap):
        answer(function)

    @app.errorhandler(UserError)
    def bad_request(error):
        return {"error": " ".join(str(error).split())}, 400

    @app.errorhandler(413)
    def too_large(_):
        return {"error": f"expected at most {MAX_UPLOAD_BYTES // 2**20} MiB in all"}, 413

    @app.errorhandler(500)
    def failed(_):
        return {"error": "pcvae failed: the terminal of pcvae-explore says why"}, 500

    return app


def refusal(model: models.HierarchicalModel) -> str | None:
    """Returns why a model has no samples and no swaps here, or None.

    Raises:
        UserError: it has no prefixes either.
    """
    if model.condition is None:
        return None
    try:
        model.natural_condition(np.zeros((1, *model.image_shape), np.uint8))
    except UserError as error:
        raise UserError(
            f"this model takes {model.condition.in_words} as a condition: the page shows models "
            "without one; pcvae-sample --condition draws from this one"
        ) from error
    return (
        "This model takes a smaller image as a condition: the page shows prefixes of an image, "
        "which gives its own; pcvae-sample --condition draws samples."
    )


def sample(
    model: models.HierarchicalModel, form: Mapping[str, str], files: Mapping[str, Any]
) -> dict[str, Any]:
    """Draws a grid of samples; ``picture``."""
    num_samples = check_integer("num_samples", _number(form, "num_samples", int), 1, MAX_SAMPLES)
    temperature, seed = _number(form, "temperature", float), _number(form, "seed", int)
    images = model.sample(num_samples, temperature, seed)
    return {"picture": _picture(show.image_grid(images))}


def prefix(
    model: models.HierarchicalModel, form: Mapping[str, str], files: Mapping[str, Any]
) -> dict[str, Any]:
    """Reconstructs an image from its first K levels, with what they cost and what they give."""
    num_levels = check_integer("num_levels", _number(form, "num_levels", int), 1, model.num_levels)
    seed = _number(form, "seed", int)
    image, note = _upload(model, files, "image")
    reconstruction, measured = measure.single_prefix(model, image, num_levels, seed)
    return {
        "original": _picture(image[0]),
        "reconstruction": _picture(reconstruction[0]),
        **measured,
        "label": show.prefix_label(model, num_levels).replace("\n", ", "),
        "notes": [note],
    }


def swap(
    model: models.HierarchicalModel, form: Mapping[str, str], files: Mapping[str, Any]
) -> dict[str, Any]:
    """Gives the first image levels of the second; see `show.swap`."""
    top = model.num_levels - 1
    low = check_integer("first level", _number(form, "first_level", int), 0, top)
    high = check_integer("last level", _number(form, "last_level", int), low, top)
    below, seed = form.get("below", ""), _number(form, "seed", int)
    temperature = _number(form, "temperature", float)
    first, first_note = _upload(model, files, "first")
    second, second_note = _upload(model, files, "second")
    levels = range(low, high + 1)
    swapped = show.swap(model, first, second, levels, below, seed, temperature)
    return {
        "first": _picture(first[0]),
        "second": _picture(second[0]),
        "swapped": _picture(swapped[0]),
        "notes": [first_note, second_note],
    }


def _number(form, name, kind):
    """Returns a number of a form, an ``int`` or a ``float``."""
    text = form.get(name, "")
    try:
        return kind(text)
    except ValueError as error:
        what = "an integer" if kind is int else "a number"
        raise UserError(f"{name}: expected {what}, got {text[:40]!r}") from error


def _upload(model, files, name):
    """Returns an image [1, height, width, channels], and a line on what was done to fit it."""
    if name not in files or not files[name].filename:
        raise UserError(f"{name}: choose a PNG, JPEG or WebP picture")
    label = files[name].filename[-60:]
    image, (width, height) = data.read_upload(files[name].stream, label, model.image_shape)
    side = model.image_shape[0]
    if (width, height) == (side, side):
        return image, ""
    done = "resized" if width == height else "cropped to the centred square and resized"
    return image, f"{label}: {width}x{height}, {done} to {side}x{side}"


def _picture(image):
    """Returns an image uint8 [height, width, channels] as a data URI."""
    data_of_png = show.png_bytes(show.displayable(image))
    return f"data:image/png;base64,{base64.b64encode(data_of_png).decode('ascii')}"
