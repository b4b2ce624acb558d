"""Images with masks whose values say which sample they are."""

import struct
import zlib

import numpy as np
from drawing import SIZE, draw
from PIL import Image

NUM_CLASSES = 20


def mask_of(number, size=SIZE):
    """A mask of a number: class `number` on the left, and `19 - number` on the right."""
    mask = np.full(size, number, "uint8")
    mask[:, size[1] // 2 :] = NUM_CLASSES - 1 - number
    return mask


def save_mask(path, values, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, "uint8"))
    if mode == "P":
        image.putpalette([level for number in range(256) for level in (255 - number, number, 7)])
    image.save(path)


def draw_pairs(folder, numbers, size=SIZE, ending=".png"):
    """An image and a mask per number, in `images` and `masks`."""
    for number in numbers:
        draw(folder / "images" / f"{number}{ending}", number, size)
        save_mask(folder / "masks" / f"{number}.png", mask_of(number, size), mode="P" if number % 2 else None)


def gray_png(values, bits):
    """A gray PNG of 1, 2 or 4 bits per pixel, which Pillow does not write. Rows have whole bytes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in values]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
