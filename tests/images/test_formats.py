"""Every format with an extension of `IMAGE_EXTENSIONS` is read as Pillow reads it, whatever the file is called."""

import io
import struct
import sys
import types

import numpy as np
import pytest
from image_files import COLOR_MODES, card, encoded
from PIL import Image, features

from keras_oocore.core.errors import SampleError
from keras_oocore.images import formats
from keras_oocore.images.formats import ENDINGS, format_name, open_image
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS

FORMATS = {  # extension: arguments of `Image.save`
    ".avif": {"format": "avif"},
    ".bmp": {"format": "bmp"},
    ".gif": {"format": "gif"},
    ".ico": {"format": "ico", "sizes": [(56, 40)]},
    ".jfif": {"format": "jpeg"},
    ".jp2": {"format": "jpeg2000"},
    ".jpe": {"format": "jpeg"},
    ".jpeg": {"format": "jpeg"},
    ".jpg": {"format": "jpeg"},
    ".pgm": {"format": "ppm"},
    ".png": {"format": "png"},
    ".ppm": {"format": "ppm"},
    ".tga": {"format": "tga"},
    ".tif": {"format": "tiff"},
    ".tiff": {"format": "tiff"},
    ".webp": {"format": "webp"},
}


def test_every_extension_has_a_format():
    assert {*FORMATS} == {*IMAGE_EXTENSIONS} - {".heic", ".heif"}


@pytest.mark.parametrize("extension", FORMATS)
def test_pixels_equal_those_of_pillow(read, extension):
    if extension == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    for mode in ("L",) if extension == ".pgm" else ("RGB", "L"):
        data = encoded(card(mode=mode), **FORMATS[extension])
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(read(data, name=f"image{extension}"), expected)
        np.testing.assert_array_equal(read(data, name="image"), expected)


@pytest.mark.filterwarnings("ignore:.* has 16 bits per channel")
@pytest.mark.parametrize("extension", FORMATS)
def test_format_name_is_that_of_the_content(extension):
    if extension == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    name = format_name(encoded(card(mode="L" if extension == ".pgm" else "RGB"), **FORMATS[extension]))

    assert extension in ENDINGS[name]


def test_every_extension_belongs_to_one_format():
    endings = [ending for endings in ENDINGS.values() for ending in endings]
    assert len(endings) == len({*endings})
    assert {*endings} == {*FORMATS, ".heic", ".heif"}


def test_format_name_of_other_files_is_none():
    others = (b"", b"RIFF\0\0\0\0WAVEfmt ", b"\x93NUMPY", b"<html>", b"%PDF-1.7 and more than 18 bytes")
    assert [format_name(data) for data in others] == [None] * len(others)


def test_plain_and_16_bit_portable_maps(read):
    levels = np.random.default_rng(0).integers(0, 256, (40, 56))
    plain = b"P2 56 40 255\n" + b" ".join(b"%d" % level for level in levels.ravel())
    np.testing.assert_array_equal(read(plain, color_mode="grayscale")[..., 0], levels)
    wide = b"P5 56 40 65535\n" + (levels * 256 + 7).astype(">u2").tobytes()
    np.testing.assert_array_equal(read(wide, color_mode="grayscale")[..., 0], levels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_tga_of_every_kind(read, mode):
    image = card(mode="RGBA").convert(mode) if mode != "P" else card().quantize(32)
    for options in ({}, {"compression": "tga_rle"}):
        data = encoded(image, "tga", **options)
        for color_mode, expected in COLOR_MODES.items():
            pixels = read(data, color_mode=color_mode)
            np.testing.assert_array_equal(pixels, np.atleast_3d(Image.open(io.BytesIO(data)).convert(expected)))


def test_files_that_are_no_tga_are_not_taken_for_one():
    for data in (bytes(18), bytes(1000), b"\0" * 17, b"\0\0\2" + bytes(15), b"\0\1\2" + b"\1" * 40, b"text " * 9):
        with pytest.raises(SampleError, match="not an image that can be decoded: it starts with"):
            open_image(data)


def heif(major, *compatible):
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(40)


@pytest.mark.parametrize("data", [heif(b"heic", b"mif1"), heif(b"mif1", b"mif1", b"heic"), heif(b"hevc")])
def test_heic_is_read_by_pillow_heif(read, monkeypatch, data):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(SampleError, match="a HEIC image, which requires pillow-heif: pip install pillow-heif"):
        read(data)

    def opened(file):
        assert file.read() == data
        image = card()
        image.format = "HEIF"
        image.tile = []
        return image

    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(HeifImageFile=opened))
    monkeypatch.setattr(Image.Image, "draft", lambda *_: None, raising=False)
    np.testing.assert_array_equal(read(data), np.asarray(card()))


@pytest.mark.parametrize("data", [heif(b"avif", b"mif1"), heif(b"mif1", b"avif"), heif(b"avis")])
def test_avif_requires_a_recent_pillow(monkeypatch, data):
    monkeypatch.setattr(formats, "AvifImageFile", None)
    with pytest.raises(SampleError, match=r"an AVIF image, which Pillow reads from version 11\.3"):
        open_image(data)


def test_format_name_of_containers():
    assert [format_name(heif(*brands)) for brands in ([b"heic"], [b"mif1", b"avif"], [b"mif1"], [b"isom"])] == [
        "HEIF",
        "AVIF",
        "HEIF",
        None,
    ]


def test_other_containers_are_refused():
    for data in (heif(b"isom"), heif(b"qt  "), b"\0\0\0\x04ftyp", b"\0\0\0\x08ftyp"):
        with pytest.raises(SampleError, match="not an image that can be decoded"):
            open_image(data)
