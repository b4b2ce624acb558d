"""Pictures with the statistics of photos, and copies of them as people make them."""

import functools
import io

import numpy as np
from PIL import Image, ImageEnhance


def picture(seed, height=120, width=160):
    """An RGB picture whose amplitudes fall as 1 / frequency, as in photos, with a few hard edges."""
    return _drawn(seed, height, width).copy()


@functools.cache
def _drawn(seed, height, width):
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    planes = []
    shared = np.fft.rfft2(rng.normal(size=(height, width))) / frequency
    for _ in range(3):
        own = np.fft.rfft2(rng.normal(size=(height, width))) / frequency
        plane = np.fft.irfft2(shared + 0.3 * own, (height, width))
        planes.append(120 + 45 * plane / plane.std())
    levels = np.stack(planes, axis=-1)
    for _ in range(6):
        top, left = rng.integers(0, height - 10), rng.integers(0, width - 10)
        levels[top : top + rng.integers(10, 40), left : left + rng.integers(10, 40)] += rng.normal(0, 40, 3)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def encoded(image, quality=60):
    """The picture as a JPEG gives it back."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def scaled(image, factor=0.75):
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR)


def brighter(image, factor=1.2):
    return ImageEnhance.Brightness(image).enhance(factor)


def cut(image, left=0.0, top=0.0, right=0.0, bottom=0.0):
    """The picture without these fractions of its width and height."""
    width, height = image.size
    box = (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    return image.crop(box)


CHANGES = {
    "re-encoded": encoded,
    "scaled": scaled,
    "brighter": brighter,
    "darker": lambda image: brighter(image, 0.8),
    "cropped": lambda image: cut(image, 0.025, 0.025, 0.025, 0.025),
}


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path
