"""Pictures drawn by the program: coloured street numbers, in the manner of SVHN.

Every picture shows one to three digits on a wall or a plate. Large structure (colours of wall,
plate and digits, light from one side, layout, number of digits) and fine detail (edges, blur,
light noise) both matter, so both coarse and fine levels of a hierarchical model find work. With a
texture most of the bits of a picture are of what it does not show.
"""

import colorsys
import math
import os
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pcvae.checks import check_counts, check_integer, check_number
from pcvae.data.dataset import SPLITS, ImageDataset
from pcvae.data.texture import draw_texture
from pcvae.errors import UserError

DRAWING_VERSION = 1
OVERSAMPLING = 2  # shapes are drawn at this multiple of the size and averaged down
DIGIT_HEIGHT = 0.71  # height of the bundled font's digits, as a share of the font size
MAX_TEXTURE = 128.0  # half the range: what is stronger is clipped for the most part
HEIGHT_FACTOR = {1: 1.0, 2: 0.8, 3: 0.58}  # more digits are smaller, so that they fit


class SyntheticImages(ImageDataset):
    """Seeded street-number pictures [image_size, image_size, 3].

    Each picture is a pure function of (seed, split, index, image_size, texture): a longer set
    starts with the shorter one, and no two splits share a stream of random numbers. With a texture
    the pictures are those without it plus their fields.
    """

    def __init__(
        self,
        image_size: int = 32,
        num_train_images: int = 20_000,
        num_validation_images: int = 1_000,
        num_test_images: int = 2_000,
        seed: int = 0,
        cache_dir: str | os.PathLike | None = None,
        texture: float = 0.0,
    ) -> None:
        """Describes the set; drawing waits for the first use.

        Args:
            image_size: side in pixels, 16 to 256.
            num_train_images: size of the training split.
            num_validation_images: size of the validation split.
            num_test_images: size of the test split.
            seed: a whole number, 64 bits of it count; another seed gives another set.
            cache_dir: see ``ImageDataset``.
            texture: standard deviation, in levels of 0..255, of the field that is added to all
                channels of a picture, one of four kinds (`texture.CORRELATIONS`); 0 to 128.

        Raises:
            UserError: if an argument is out of range.
        """
        image_size = check_integer("synthetic, image_size", image_size, 16, 256)
        counts = (num_train_images, num_validation_images, num_test_images)
        names = ("num_train_images", "num_validation_images", "num_test_images")
        check_counts(**dict(zip(names, counts, strict=True)))
        if not isinstance(seed, int):
            raise UserError(f"the seed of synthetic must be a whole number, got {seed!r}")
        self._counts = dict(zip(SPLITS, counts, strict=True))
        self._seed = seed
        self._texture = check_number("texture", texture, 0.0, MAX_TEXTURE)
        content = {"version": DRAWING_VERSION, "seed": seed, "counts": self._counts}
        name = "synthetic"
        if self._texture:
            content["texture"] = self._texture
            name = f"synthetic:texture={self._texture:g}"
        super().__init__(name, (image_size, image_size, 3), content, cache_dir)

    def num_images(self, split: str) -> int:
        """Returns the number of images in a split; draws nothing."""
        return self._counts[split] if split in self.splits else super().num_images(split)

    def _prepare(self, writers):
        size = self.image_shape[0]
        tasks = ((split, index) for split in self.splits for index in range(self._counts[split]))
        total = sum(self._counts.values())
        for split, index in self._counted(tasks, total, f"drawing {size}x{size} images"):
            picture = draw_picture(self._seed, split, index, size, self._texture)
            writers[split].write(picture.image)


class Picture(NamedTuple):
    """A picture and what was drawn into it."""

    image: np.ndarray  # uint8 [image_size, image_size, 3]
    digits: str  # one to three of them, left to right
    wall: np.ndarray  # float32 [3] in [0, 255]
    plate: np.ndarray | None  # float32 [3] in [0, 255]; None without a plate
    ink: np.ndarray  # float32 [3] in [0, 255]
    light: tuple  # how much brighter it gets from the middle to the right, and to the bottom
    blur: float  # radius as a share of image_size
    texture: str | None = None  # which field was added


def draw_image(seed: int, split: str, index: int, image_size: int) -> np.ndarray:
    """Draws one picture, uint8 [image_size, image_size, 3]; arguments as of `draw_picture`."""
    return draw_picture(seed, split, index, image_size).image


def draw_picture(
    seed: int, split: str, index: int, image_size: int, texture: float = 0.0
) -> Picture:
    """Draws one picture and says what it shows.

    Args:
        seed: a whole number; 64 bits of it count.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        index: number of the picture within the split.
        image_size: side in pixels.
        texture: standard deviation of the field that is added; see `SyntheticImages`.

    Returns:
        A `Picture`.
    """
    # Philox counts blocks: each picture owns two ranges of 2^128 of them, one for its texture.
    key = np.array([seed % 2**64, SPLITS.index(split) * 2**32 + image_size], np.uint64)

    def generator(use):
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, index, use]))

    rng = generator(0)
    wall, plate, ink = _colours(rng)
    text, digits, plate_mask = _shapes(rng, image_size, has_plate=plate is not None)
    picture = wall if plate is None else wall + plate_mask[..., None] * (plate - wall)
    picture = picture + digits[..., None] * (ink - picture)
    light, ramp = _light(rng, image_size)
    picture = picture * ramp[..., None]
    blur = rng.uniform(0.0, 0.022)
    picture = _blurred(picture, blur * image_size)
    noise = rng.standard_normal(picture.shape, np.float32) * rng.uniform(1.0, 3.0)
    picture, field = picture + noise, None
    if texture:
        field = draw_texture(generator(1), image_size)
        picture = picture + texture * field.values[..., None]
    image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Picture(image, text, wall, plate, ink, light, blur, field and field.name)


def _colours(rng):
    """Draws the colours of wall, plate (or None) and ink, each float32 [3] in [0, 255].

    Ink is light on dark ground and dark on light ground.
    """
    hue, value = rng.uniform(), rng.uniform(0.2, 0.85)
    wall = _rgb(hue, rng.uniform(0.1, 0.65), value)
    plate = None
    if rng.uniform() < 0.35:
        step = rng.uniform(0.12, 0.3)
        value += step if value < 0.5 else -step
        plate = _rgb(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.05, 0.6), value)
    ground = wall if plate is None else plate
    light_ink = ground @ np.float32([0.299, 0.587, 0.114]) < rng.uniform(98, 138)
    ink_value = rng.uniform(0.88, 1.0) if light_ink else rng.uniform(0.0, 0.16)
    ink = _rgb(rng.uniform(), rng.uniform(0.0, 0.25 if light_ink else 0.7), ink_value)
    return wall, plate, ink


def _rgb(hue, saturation, value):
    return 255.0 * np.float32(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def _shapes(rng, image_size, has_plate):
    """Draws the masks of digits and plate (or None), float32 [image_size, image_size] in [0, 1].

    Returns the digits as text, too, before them.
    """
    side = image_size * OVERSAMPLING
    count = int(rng.choice(3, p=[0.4, 0.4, 0.2])) + 1
    height = side * rng.uniform(0.62, 0.85) * HEIGHT_FACTOR[count]
    x, y = side * rng.uniform(0.45, 0.55, 2)
    text = "".join(str(digit) for digit in rng.integers(0, 10, count))
    font = _font(round(height / DIGIT_HEIGHT))
    width = font.getlength(text)
    digits = Image.new("L", (side, side))
    pen = ImageDraw.Draw(digits)
    stroke = rng.uniform(0.0, 0.035) * height
    pen.text((x, y), text, 255, font, anchor="mm", stroke_width=stroke)
    if rng.uniform() < 0.3:  # part of a number beside it, cut by the border
        away = rng.choice([-1, 1]) * (width + height * rng.uniform(0.95, 1.4)) / 2
        pen.text((x + away, y), str(rng.integers(0, 10)), 255, font, anchor="mm")
    motion = _turn_and_slant(rng, side)
    plate = None
    if has_plate:
        plate = Image.new("L", (side, side))
        half_x, half_y = np.array([width, height]) / 2 + side * rng.uniform(0.05, 0.12, 2)
        box = (x - half_x, y - half_y, x + half_x, y + half_y)
        ImageDraw.Draw(plate).rectangle(box, 255)
        plate = _fitted(plate, motion, image_size)
    return text, _fitted(digits, motion, image_size), plate


def _turn_and_slant(rng, side):
    """Draws an affine map about the middle, as Pillow takes it: output to input."""
    turn, slant = math.radians(rng.normal(0.0, 4.5)), rng.normal(0.0, 0.06)
    a, b = math.cos(turn), math.sin(turn) + slant
    c, d = -math.sin(turn), math.cos(turn)
    mid = side / 2
    return (a, b, mid - a * mid - b * mid, c, d, mid - c * mid - d * mid)


def _fitted(mask, matrix, image_size):
    turned = mask.transform(mask.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    small = turned.resize((image_size, image_size), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255.0


_FONTS = {}


def _font(size):
    """Returns the scalable font that comes with Pillow."""
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]


def _light(rng, image_size):
    """Draws light from one side: its slopes, and float32 [image_size, image_size] about 1."""
    angle, strength = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.05, 0.35)
    at = np.arange(image_size, dtype=np.float32) * (2.0 / (image_size - 1)) - 1.0
    ramp = math.cos(angle) * at[None, :] + math.sin(angle) * at[:, None]
    slopes = (strength * math.cos(angle), strength * math.sin(angle))
    return slopes, 1.0 + np.float32(strength) * ramp


def _blurred(picture, radius):
    """Blurs float [height, width, 3] in [0, 255], rounding to whole values."""
    image = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)
