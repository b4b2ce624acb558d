"""Image files made in memory for tests: every format, mode and EXIF orientation."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


def card(height=40, width=56, mode="RGB"):
    """An image without symmetry, smooth enough for a JPEG. Its alpha channel, if it has one, goes from 0 to 255."""
    y, x = np.mgrid[: 1 : height * 1j, : 1 : width * 1j]
    channels = np.stack([200 * y, 250 * x, 120 * (x + y), 255 * (1 - y)], axis=-1).astype("uint8")
    return Image.fromarray(channels, "RGBA") if mode == "RGBA" else Image.fromarray(channels[..., :3]).convert(mode)


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype="uint8")


def encoded(image, format="jpeg", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def opened(data, mode="RGB"):
    """The pixels of a file as Pillow decodes them, of shape `(height, width, channels)`."""
    return np.atleast_3d(Image.open(io.BytesIO(data)).convert(mode))


def tiff(samples, bits=16, separate=False, order="<", photometric=2):
    """An uncompressed TIFF of channels with 8, 12 or 16 bits, interleaved or with a plane per channel."""
    height, width, channels = samples.shape
    planes = [samples[..., channel] for channel in range(channels)] if separate else [samples]
    if bits == 12:
        digits = np.unpackbits(samples.astype(">u2").view("u1").reshape(height, -1, 2), axis=-1)[..., 4:]
        stored = [np.packbits(digits.reshape(height, -1), axis=-1).tobytes()]
    else:
        stored = [plane.astype(f"{order}u{bits // 8}").tobytes() for plane in planes]
    offsets = [8 + sum(map(len, stored[:number])) for number in range(len(stored))]
    entries = {256: [width], 257: [height], 258: [bits] * channels, 259: [1],
               262: [photometric if channels >= 3 else 1], 273: offsets,
               277: [channels], 278: [height], 279: [len(data) for data in stored], 284: [2 if separate else 1],
               **({338: [2]} if channels == 4 and photometric == 2 else {})}  # fmt: skip
    start = offsets[-1] + len(stored[-1])
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, numbers in entries.items():
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            position = start + 2 + 12 * len(entries) + 4 + len(values)
            values, packed = values + packed, struct.pack(f"{order}I", position)
        directory += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return header + b"".join(stored) + directory + bytes(4) + values


def png(samples, colour_type, interlaced=False):
    """A PNG of 8 or 16 bits with any number of channels. Pillow cannot write these."""
    height, width = samples.shape[:2]
    depth = 8 * samples.itemsize
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [samples[top::down, left::right] for top, left, down, right in (adam7 if interlaced else [(0, 0, 1, 1)])]
    rows = b"".join(b"\0" + row.astype(f">u{row.itemsize}").tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def orientation_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def with_segment(jpeg, marker, body):
    """The JPEG with one more segment after its first marker."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def rounded(levels):
    """The floats of TensorFlow, rounded as the reader rounds them."""
    return np.floor(np.clip(np.asarray(levels, "float64"), 0, 255) + 0.5)


def largest_difference(one, other):
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int)).max()


FILES = {
    "JPEG": encoded(card()),
    "progressive JPEG": encoded(card(), progressive=True),
    "grayscale JPEG": encoded(card(mode="L")),
    "CMYK JPEG": encoded(card(mode="CMYK")),
    "4:4:4 JPEG": encoded(card(), subsampling=0),
    "RGB PNG": encoded(card(), "png"),
    "RGBA PNG": encoded(card(mode="RGBA"), "png"),
    "grayscale PNG": encoded(card(mode="L"), "png"),
    "grayscale PNG with alpha": encoded(card(mode="RGBA").convert("LA"), "png"),
    "interlaced PNG": png(np.asarray(card()), 2, interlaced=True),
    "palette PNG": encoded(card().quantize(32), "png"),
    "palette PNG with one transparent color": encoded(card().quantize(32), "png", transparency=3),
    "palette PNG with alpha": encoded(card().quantize(32), "png", transparency=bytes(range(0, 256, 8))),
    "RGB PNG with one transparent color": encoded(card(), "png", transparency=card().getpixel((9, 9))),
    "grayscale PNG with a transparent level": encoded(card(mode="L"), "png", transparency=99),
    "1-bit PNG": encoded(card(mode="1"), "png"),
    "BMP": encoded(card(), "bmp"),
    "grayscale BMP": encoded(card(mode="L"), "bmp"),
    "palette BMP": encoded(card().quantize(16), "bmp"),
    "GIF": encoded(card(), "gif"),
    "GIF with a transparent color": encoded(card().quantize(32), "gif", transparency=3),
    "WebP": encoded(card(), "webp"),
    "WebP with alpha": encoded(card(mode="RGBA"), "webp", lossless=True),
    "TIFF": encoded(card(), "tiff"),
    "LZW TIFF": encoded(card(), "tiff", compression="tiff_lzw"),
    "JPEG in a TIFF": encoded(card(), "tiff", compression="jpeg"),
    "CMYK TIFF": encoded(card(mode="CMYK"), "tiff"),
}

# JPEG and PNG files are decoded by OpenCV, libspng or Pillow, and all other files by Pillow.
KINDS_AND_DECODERS = [
    (kind, decoder)
    for kind in FILES
    for decoder in (("fast", "opencv", "pillow") if kind.endswith("JPEG") or "PNG" in kind else ("fast",))
]
