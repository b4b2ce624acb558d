"""The orientation of an image is the one that `PIL.ImageOps.exif_transpose` applies, wherever the file states it."""

import io
import struct
import zlib

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from image_files import card, encoded, largest_difference, orientation_exif, with_segment
from PIL import Image, ImageOps, PngImagePlugin

from keras_oocore.images.orientation import exif_orientation, stated_orientation

NO_ORIENTATION = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"  # a directory without entries


def xmp(orientation):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'


def raw_profile(exif):
    """The text that ImageMagick writes."""
    return f"\nexif\n{len(exif):8}\n{exif.hex()}\n"


def png_with_text(kind, key, text, **options):
    info = PngImagePlugin.PngInfo()
    if kind == "iTXt":
        info.add_itxt(key, text, zip=options.pop("zip", False))
    else:
        info.add_text(key, text, zip=kind == "zTXt")
    return encoded(card(), "png", pnginfo=info, **options)


STATED = {
    "PNG with EXIF": encoded(card(), "png", exif=orientation_exif(6)),
    "PNG of ImageMagick": png_with_text("tEXt", "Raw profile type exif", raw_profile(orientation_exif(5))),
    "compressed text of a PNG": png_with_text("zTXt", "Raw profile type exif", raw_profile(orientation_exif(7))),
    "PNG with XMP": png_with_text("iTXt", "XML:com.adobe.xmp", xmp(8)),
    "PNG with compressed XMP": png_with_text("iTXt", "XML:com.adobe.xmp", xmp(3), zip=True),
    "PNG with XMP as an element": png_with_text("iTXt", "XML:com.adobe.xmp", "<tiff:Orientation>6</tiff:Orientation>"),
    "PNG with EXIF and XMP": png_with_text("iTXt", "XML:com.adobe.xmp", xmp(8), exif=orientation_exif(2)),
    "PNG with EXIF without orientation": png_with_text("iTXt", "XML:com.adobe.xmp", xmp(8), exif=NO_ORIENTATION),
    "JPEG with XMP": encoded(card(), xmp=xmp(6).encode()),
    "JPEG with EXIF and XMP": encoded(card(), xmp=xmp(6).encode(), exif=orientation_exif(3)),
    "JPEG with EXIF without orientation": encoded(card(), xmp=xmp(7).encode(), exif=NO_ORIENTATION),
    "JPEG with upright EXIF": encoded(card(), xmp=xmp(6).encode(), exif=orientation_exif(1)),
    "unusual JPEG with XMP": encoded(card(), xmp=xmp(6).encode()).replace(b"\xff\xe1", b"junk\xff\xe1", 1),
    "WebP with EXIF": encoded(card(), "webp", lossless=True, exif=orientation_exif(6)),
    "WebP with XMP": encoded(card(), "webp", lossless=True, xmp=xmp(5).encode()),
    "TIFF with EXIF": encoded(card(), "tiff", exif=orientation_exif(6)),
}


@pytest.mark.parametrize("kind", STATED)
def test_orientation_is_that_of_exif_transpose(read, kind):
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(STATED[kind])))
    pixels = read(STATED[kind], image_size=(expected.height, expected.width))
    assert largest_difference(pixels, np.asarray(expected)) == 0


def test_orientation_in_xmp_beyond_8_is_upright(read):
    data = encoded(card(), xmp=xmp(9).encode())
    np.testing.assert_array_equal(read(data), np.asarray(Image.open(io.BytesIO(data))))


def test_orientation_in_the_text_of_a_damaged_chunk_is_ignored(read):
    data = STATED["PNG with XMP"]
    damaged = data.replace(b'tiff:Orientation="8"', b'tiff:Orientation="6"')
    assert damaged != data
    np.testing.assert_array_equal(read(damaged), np.asarray(card()))


@pytest.mark.parametrize("text", ["", "\nexif\n", "\nexif\n 4\nno hex", "\nexif\n 4\n" + b"Exif\0\0II".hex()])
def test_text_that_is_no_profile_is_upright(read, text):
    np.testing.assert_array_equal(read(png_with_text("tEXt", "Raw profile type exif", text)), np.asarray(card()))


def test_compressed_text_of_any_size_is_read_in_little_memory(read):
    bomb = zlib.compress(bytes(50 * 2**20), 9)
    chunk = b"zTXt" + b"Raw profile type exif\0\0" + bomb
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = encoded(card(), "png")
    np.testing.assert_array_equal(read(data[:33] + chunk + data[33:]), np.asarray(card()))


def test_integers_of_any_size_state_an_orientation(read):
    """Pillow writes and reads more types than the one of the EXIF standard."""
    for order in "<>":
        for kind, code in ((3, "H"), (4, "I"), (9, "i")):
            value = struct.pack(order + code, 6).ljust(4, b"\0")
            entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
            header = b"II*\0\x08\0\0\0\1\0" if order == "<" else b"MM\0*\0\0\0\x08\0\1"
            exif = b"Exif\0\0" + header + entry + bytes(4)
            assert exif_orientation(exif) == 6
            data = with_segment(encoded(card()), 0xE1, exif)
            upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            np.testing.assert_array_equal(read(data, image_size=(56, 40)), np.asarray(upright))


def test_invalid_orientation_is_upright():
    for value, kind, expected in ((8, 3, 8), (1, 3, 1), (0, 3, 1), (9, 3, 1), (6, 2, 1)):
        entry = struct.pack("<HHIHH", 0x0112, kind, 1, value, 0)
        other = struct.pack("<HHII", 0x010F, 2, 4, 0)
        assert stated_orientation({"exif": b"II*\0\x08\0\0\0\2\0" + other + entry}) == expected


@given(st.binary(max_size=80))
@examples(40)
def test_orientation_of_random_bytes_is_1_to_8(block):
    assert 1 <= stated_orientation({"exif": block}) <= 8
    assert 1 <= stated_orientation({"exif": b"II*\0\x08\0\0\0" + block}) <= 8
    assert 1 <= stated_orientation({"Raw profile type exif": block, "xmp": block}) <= 8
