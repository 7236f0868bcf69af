"""Embedded colour profiles (ICC): what a picture means by its values, taken to sRGB.

Only profiles count, not PNG's older hints of gamma and primaries. A profile that changes no colour
by more than one level of 255 is sRGB, and the values stay bit by bit.
"""

import functools
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

_GREYS = np.arange(256, dtype=np.uint8)[None]
_COLOURS = np.stack(np.meshgrid(*[_GREYS[0, ::17]] * 3), -1).reshape(16, -1, 3)


def to_srgb(image: Image.Image, on_ignored: Callable[[], object]) -> Image.Image:
    """Returns a picture with its values in sRGB; one without a profile as it is.

    Args:
        image: a Pillow image of any mode of 8 bits.
        on_ignored: called where the profile is damaged, of another kind than the picture, or
            Pillow was built without littlecms; values are then taken for sRGB.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode in ("1", "P", "PA") or "transparency" in image.info:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("L" if image.mode == "1" else "RGBA" if has_alpha else "RGB")
    colours = image.convert(image.mode[:-1]) if image.mode in ("LA", "RGBA") else image
    transform = _transform(profile, colours.mode)
    if transform is None:
        on_ignored()
    if transform is None or transform is _SAME:
        return image
    changed = ImageCms.applyTransform(colours, transform)
    if colours is not image and changed is not None:
        changed.putalpha(image.getchannel("A"))
    return changed or image


_SAME = "the colours of sRGB"


@functools.lru_cache(maxsize=64)  # a folder has few profiles, many times over
def _transform(profile, mode):
    """Returns the transform to sRGB, `_SAME` if nothing would change, None if there is none."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            flags=ImageCms.Flags.NOCACHE,  # several threads use it at once
        )
        if mode not in ("L", "RGB"):
            return transform
        probe = Image.fromarray(_GREYS if mode == "L" else _COLOURS)
        changed = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
    # Damaged profiles raise of every kind, a Pillow without littlecms an ImportError.
    except Exception:
        return None
    return _SAME if np.abs(changed - np.asarray(probe.convert("RGB"))).max() <= 1 else transform
