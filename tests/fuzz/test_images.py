"""Any bytes in the place of pictures and arrays: they are read, or one line names the file."""

import io
import random
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcvae import data
from tests.fuzz.promise import as_command, cases, outcome

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def picture(kind, mode="RGB"):
    """Returns the bytes of a picture."""
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).convert(mode).save(file, kind)
    return file.getvalue()


def arrays(**named):
    """Returns the bytes of an ``.npz``."""
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def array(values):
    """Returns the bytes of an ``.npy``."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


PICTURES = {
    "png": picture("PNG"),
    "PNG": picture("PNG", "P"),
    "jpg": picture("JPEG"),
    "jpeg": picture("JPEG", "CMYK"),
    "bmp": picture("BMP"),
    "webp": picture("WEBP"),
}
ARRAYS = {
    "npy": array(PIXELS),
    "npz": arrays(images=PIXELS),
    "NPZ": arrays(train=PIXELS, test=PIXELS[:2]),
    "npz ": arrays(train=PIXELS / 255.0, labels=np.arange(12)),
}


@st.composite
def damaged(draw, files):
    """Draws (suffix, bytes): a valid file that is cut, changed, grown; or anything."""
    suffix = draw(st.sampled_from(sorted(files)))
    content = bytearray(files[suffix])
    noise = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 4))):
        # The head of a file says most about the rest.
        place = noise.randrange(min(len(content), noise.choice([16, 128, 4096])) or 1)
        kind = noise.randrange(5)
        if kind == 0:
            content[place : place + 1] = bytes([noise.randrange(256)])
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            content[place:place] = noise.randbytes(noise.randrange(9))
        elif kind == 3:
            content[place : place + 4] = noise.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
        else:
            content = bytearray(draw(st.binary(max_size=64)))
    return suffix.strip(), bytes(content)


def read(spec, **options):
    """Returns a command that reads the images of a dataset, all of them."""

    def images():
        with tempfile.TemporaryDirectory() as cache:
            dataset = data.from_spec(spec, cache_dir=cache, **options)
            for split in dataset.splits:
                np.array(dataset.images(split))

    return as_command(images)


@cases(1.3)
@given(file=damaged(PICTURES), skip=st.booleans())
def test_any_bytes_as_a_picture(file, skip):
    suffix, content = file
    with tempfile.TemporaryDirectory() as folder:
        for index in range(12):
            Path(folder, f"{index}.png").write_bytes(PICTURES["png"])
        Path(folder, f"odd.{suffix}").write_bytes(content)
        main = read(f"folder:{folder}", image_size=4, skip_unreadable=skip)
        outcome(main, [], folder, [folder])


@cases(1.3)
@given(file=damaged(ARRAYS), size=st.none() | st.integers(1, 9))
def test_any_bytes_as_arrays(file, size):
    suffix, content = file
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"odd.{suffix}")
        path.write_bytes(content)
        outcome(read(f"arrays:{path}", image_size=size), [], folder, [str(path)])
