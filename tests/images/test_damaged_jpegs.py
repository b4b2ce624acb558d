"""Damaged JPEGs are decoded as before and reported with a reason, or refused with `strict=True`; sound ones are not."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from image_files import FILES, card, encoded, noise, orientation_exif
from PIL import Image, ImageFilter

from keras_oocore.core.errors import MissingExtraError, SampleError
from keras_oocore.images import codecs
from keras_oocore.images.decode import decode
from keras_oocore.images.jpeg_header import parse_jpeg_header
from keras_oocore.images.reader import ImageReader

SEED = 13
PHOTOS = Path(os.environ.get("KERAS_OOCORE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "photos"
needs_simplejpeg = pytest.mark.skipif(codecs.simplejpeg is None, reason="simplejpeg is not installed")


def scene(rng, height=240, width=320):
    """Shapes of several sizes with some grain, which a JPEG compresses about as well as a photograph."""
    levels = np.zeros((height, width, 3))
    for cells, contrast in ((3, 90), (12, 50), (40, 25)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype="uint8"))
        levels += contrast * (np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 127.5 - 1)
    levels += rng.normal(128, 6, levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype("uint8")).filter(ImageFilter.SHARPEN)


def bit(rng, body):
    body[rng.integers(len(body))] ^= 1 << rng.integers(8)


def byte(rng, body):
    body[rng.integers(len(body))] ^= rng.integers(1, 256)


def zeros(rng, body):
    start = rng.integers(len(body) - 512)
    body[start : start + 512] = bytes(512)


def dropped(rng, body):
    start = rng.integers(len(body) - 512)
    del body[start : start + rng.integers(1, 513)]


def cut(rng, body):
    """The end is missing, and a repair tool added an end-of-image marker."""
    del body[rng.integers(len(body) * 19 // 20) :]


DAMAGES = {"bit": bit, "byte": byte, "zeros": zeros, "dropped": dropped, "cut": cut}
LISTED_AT_LEAST = {"bit": 0.1, "byte": 0.1, "zeros": 0.8, "dropped": 0.45, "cut": 0.99}


def damaged(data, kind, rng):
    """The JPEG with damage in its scan. Headers and the end stay whole."""
    start = parse_jpeg_header(data).scan_start
    body = bytearray(data[start:-2])
    DAMAGES[kind](rng, body)
    return data[:start] + bytes(body) + b"\xff\xd9"


def full_size(height, width):
    return height, width


def share_listed(kind, number):
    """The share of damaged files that are read with a doubt, among those that are read with other pixels."""
    rng = np.random.default_rng([SEED, *kind.encode()])
    photos = [encoded(scene(rng), quality=quality) for quality in (75, 85, 95)]
    photos.append(encoded(scene(rng), quality=85, progressive=True))
    photos = [(data, decode(data, "rgb", full_size).pixels) for data in photos]
    num_listed = num_wrong = 0
    for index in range(number):
        data, sound = photos[index % len(photos)]
        try:
            pixels, _, _, doubt, _ = decode(damaged(data, kind, rng), "rgb", full_size)
        except SampleError:
            continue
        if doubt or not np.array_equal(pixels, sound):
            num_wrong += 1
            num_listed += doubt is not None
    print(f"{kind}, seed {SEED}: {num_listed} of {num_wrong} listed")
    return num_listed / num_wrong


@needs_simplejpeg
@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_jpegs_are_listed(kind):
    assert share_listed(kind, 40) >= LISTED_AT_LEAST[kind]


@pytest.mark.soak
@needs_simplejpeg
@pytest.mark.parametrize("kind", DAMAGES)
def test_many_damaged_jpegs_are_listed(kind):
    assert share_listed(kind, 300) >= LISTED_AT_LEAST[kind]


def decoded_without_simplejpeg(monkeypatch, data, *arguments):
    with monkeypatch.context() as patch:
        patch.setattr(codecs, "simplejpeg", None)
        return decode(data, *arguments)


@needs_simplejpeg
@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_jpegs_are_read_as_before(monkeypatch, kind):
    rng = np.random.default_rng(SEED)
    photos = [encoded(scene(rng), progressive=progressive) for progressive in (False, True)]
    for index in range(16):
        data = damaged(photos[index % 2], kind, rng)
        for color_mode, size in (("rgb", full_size), ("grayscale", lambda *_: (60, 80))):
            pixels = []
            for decoded in (decode, lambda *given: decoded_without_simplejpeg(monkeypatch, *given)):
                try:
                    pixels.append(decoded(data, color_mode, size).pixels)
                except SampleError:
                    pixels.append(np.empty(0))
            np.testing.assert_array_equal(*pixels)


@needs_simplejpeg
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"exif": orientation_exif(6)}], ids=str
)
def test_sound_jpegs_have_the_pixels_of_other_decoders_and_no_doubt(monkeypatch, color_mode, options):
    for height, width in ((1, 1), (2, 3), (5, 8), (7, 9), (16, 16), (67, 101)):
        data = encoded(Image.fromarray(noise(height, width)), **options)
        for denominator in (1, 2, 4, 8):
            size = (max(1, height // denominator), max(1, width // denominator))
            size = size[::-1] if "exif" in options else size
            arguments = (data, color_mode, lambda *_, size=size: size)
            one, other = decode(*arguments), decoded_without_simplejpeg(monkeypatch, *arguments)
            assert one.doubt is None
            np.testing.assert_array_equal(one.pixels, other.pixels, err_msg=f"{height, width} / {denominator}")


@needs_simplejpeg
def test_jpeg_that_is_cut_and_filled_with_zeros_is_doubtful(monkeypatch):
    """It lacks its end marker, as a download that was stopped does, and Pillow decodes it without a word."""
    whole = encoded(Image.fromarray(noise(67, 101)))
    arguments = ("rgb", lambda *_: (67, 101))
    for kept in (len(whole) * 6 // 10, len(whole) - 2):
        filled = whole[:kept] + bytes(len(whole))
        one, other = decode(filled, *arguments), decoded_without_simplejpeg(monkeypatch, filled, *arguments)
        assert (one.doubt, other.doubt) == ("Premature end of JPEG file", None)
        np.testing.assert_array_equal(one.pixels, other.pixels)
        with pytest.raises(SampleError, match="truncated"):
            decode(whole[:kept], *arguments)


@needs_simplejpeg
def test_no_sound_photograph_is_doubtful():
    paths = sorted(PHOTOS.glob("*"))
    if not paths:
        pytest.skip(f"There are no photographs in {PHOTOS}. Set KERAS_OOCORE_DATA to the folder above.")
    doubtful = {path.name: decode(path.read_bytes(), "rgb", lambda *_: (8, 8)).doubt for path in paths}
    assert not {name: doubt for name, doubt in doubtful.items() if doubt}


@needs_simplejpeg
def test_cmyk_jpeg_has_the_pixels_of_pillow_and_is_checked():
    pixels, _, _, doubt, _ = decode(FILES["CMYK JPEG"], "rgb", full_size)
    assert doubt is None
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(FILES["CMYK JPEG"])).convert("RGB")))
    large = encoded(card(200, 300, "CMYK"))
    assert decode(large[: len(large) // 2] + b"\xff\xd9", "rgb", full_size).doubt.startswith("Corrupt JPEG data")


@needs_simplejpeg
def test_strict_reader_refuses_damaged_jpegs(tmp_path):
    data = encoded(card(200, 300))
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    out = np.empty((32, 32, 3), "uint8")
    assert ImageReader(32).read_into(tmp_path / "cut.jpg", out) == "Corrupt JPEG data: premature end of data segment"
    with pytest.raises(SampleError, match=r"^damaged: Corrupt JPEG data: premature end of data segment$"):
        ImageReader(32, strict=True).read_into(tmp_path / "cut.jpg", out)
    (tmp_path / "sound.jpg").write_bytes(data)
    assert ImageReader(32, strict=True).read_into(tmp_path / "sound.jpg", out) is None


def test_strict_reader_requires_simplejpeg(monkeypatch):
    monkeypatch.setattr(codecs, "simplejpeg", None)
    with pytest.raises(MissingExtraError, match=r'strict=True.*simplejpeg.*pip install "keras_oocore\[fast\]"'):
        ImageReader(strict=True)
