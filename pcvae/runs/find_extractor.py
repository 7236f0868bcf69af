"""The feature extractor that a name stands for: the in-domain one, a file, or a file to fetch."""

import os
import re
import shutil
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pcvae import data, measure
from pcvae.errors import UserError
from pcvae.files import new_file
from pcvae.runs.train_extractor import FOLDER, cached_path, extractor_name, train_extractor
from pcvae.sources import EXTRACTORS

IN_DOMAIN = EXTRACTORS[0]
_SECONDS_TO_ANSWER = 60


def find_extractor(
    source: Any, image_shape: Sequence[int], resize: str | None = None, sha256: str | None = None
) -> measure.FeatureExtractor:
    """Returns the feature extractor that an argument stands for.

    Args:
        source: ``"synthetic"`` or ``"structure"``, an in-domain extractor at the size of the
            images, or ``"synthetic:SIZE"``; it is trained when it is not there yet
            (`train_extractor`). Or the address of a file, ``https://...``, which is fetched once,
            if its ``sha256`` is given. Or what `measure.as_extractor` takes.
        image_shape: (height, width, channels) of the images.
        resize: how images are resized to the size of the extractor; see `FeatureExtractor`.
        sha256: what is checked: the SHA-256 of the file, or of the network as protocols state it
            (``extractor_sha256``); None for no check of what is there.

    Raises:
        UserError: there is no such extractor, or it does not take the images.
    """
    text = str(source) if isinstance(source, str | os.PathLike) else None
    kind, _, rest = (text or "").partition(":")
    if kind in EXTRACTORS:
        extractor = _in_domain_extractor(text, kind, rest, image_shape, resize)
        _check_sha256(extractor, None, sha256)
    elif kind in ("http", "https"):
        name = Path(urllib.request.url2pathname(rest)).stem
        extractor = measure.as_extractor(fetch(text, sha256), resize, name)  # which checks it
    else:
        extractor = measure.as_extractor(source, resize)
        _check_sha256(extractor, text, sha256)
    extractor.check(image_shape)
    return extractor


def fetch(address: str, sha256: str | None) -> Path:
    """Returns the path of a file from the network, fetched now or earlier.

    Args:
        address: ``https://...``, a ``.pb`` or ``.keras`` file.
        sha256: of the file; nothing is fetched without it.

    Raises:
        UserError: no hash is given, the file cannot be had, or its hash differs.
    """
    if not sha256:
        raise UserError(
            f"extractor {address}: a file from the network needs the SHA-256 that it must have "
            "(--extractor_sha256=HEX)"
        )
    sha256 = _checked_sha256(sha256)
    path = data.cache_root() / FOLDER / sha256 / Path(urllib.request.url2pathname(address)).name
    if path.is_file() and measure.file_sha256(path) == sha256:
        return path
    try:
        with new_file(path) as partial:
            print(f"fetching {address}", flush=True)
            request = urllib.request.urlopen(address, timeout=_SECONDS_TO_ANSWER)
            with request as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
            found = measure.file_sha256(partial)
            if found != sha256:
                raise UserError(f"extractor {address}: expected the SHA-256 {sha256}, got {found}")
    except OSError as error:
        raise UserError(f"extractor {address}: cannot be fetched: {error}") from error
    return path


def _checked_sha256(sha256):
    """Returns a SHA-256 in small letters, if it is one."""
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UserError(f"extractor_sha256: expected 64 hexadecimal digits, got {sha256!r}")
    return sha256.lower()


def _check_sha256(extractor, path, sha256):
    """Checks what a user may know an extractor by: the hash in protocols, or its file's."""
    if not sha256 or _checked_sha256(sha256) == extractor.sha256:
        return
    if path is None or measure.file_sha256(path) != sha256.lower():
        raise UserError(
            f"extractor {extractor.name}: its SHA-256 is {extractor.sha256}, not {sha256}"
        )


def _in_domain_extractor(text, kind, rest, image_shape, resize):
    size = image_shape[0]
    if ":" in text:
        if not rest.isdecimal() or not 16 <= int(rest) <= 256:
            raise UserError(f"extractor: expected {kind}:SIZE with 16 to 256, got {text!r}")
        size = int(rest)
    elif image_shape[0] != image_shape[1] or not 16 <= size <= 256:
        raise UserError(
            f"extractor: {kind} takes squares of 16 to 256 pixels, the images have "
            f"{image_shape[0]}x{image_shape[1]}: name a size and how they are resized "
            f"(--extractor={kind}:16 --extractor_resize=bilinear)"
        )
    path, name = cached_path(size, extractor=kind), extractor_name(size, kind)
    if not path.is_file():
        print(f"{name} is not there yet: training it (pcvae-train-extractor)", flush=True)
        # A strategy holds for its thread alone, and the network is trained without one: inside the
        # scope of a strategy Keras' optimizer refuses a step outside of its replicas.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(train_extractor, image_size=size, extractor=kind).result()
    return measure.as_extractor(path, resize, name)
