"""Every installation reads or refuses the same files, with the same pixels, however odd the files are."""

import struct
import zlib

import numpy as np
import pytest
from image_files import FILES, card, encoded, noise, png, with_segment
from PIL import Image

from keras_oocore.core.errors import SampleError
from keras_oocore.images import codecs
from keras_oocore.images.decode import decode

SEED = 13
INSTALLATIONS = {
    "fast": (),
    "no simplejpeg": ("simplejpeg",),
    "OpenCV": ("simplejpeg", "spng_decode"),
    "Pillow": ("simplejpeg", "spng_decode", "cv2"),
}


def chunk(name, body, crc=None):
    crc = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def with_chunk(data, name, body, crc=None, before=b"IDAT"):
    at = data.index(before) - 4
    return data[:at] + chunk(name, body, crc) + data[at:]


def split_idat(data, between=b""):
    """The PNG with its pixels in two chunks, and something between them."""
    at = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    body, half = data[at + 4 : at + 4 + length], length // 2
    return (
        data[: at - 4] + chunk(b"IDAT", body[:half]) + between + chunk(b"IDAT", body[half:]) + data[at + 8 + length :]
    )


RGB, GRAY, RGBA = FILES["RGB PNG"], FILES["grayscale PNG"], FILES["RGBA PNG"]
TEXT_BOMB = b"Comment\0\0" + zlib.compress(bytes(2**24))
ODD = {
    "wrong checksum of a time": with_chunk(RGB, b"tIME", bytes(7), crc=1),
    "wrong checksum of a text": with_chunk(RGB, b"tEXt", b"a\0b", crc=1),
    "wrong checksum of a transparent color": with_chunk(RGB, b"tRNS", bytes(6), crc=1),
    "wrong checksum after the pixels": with_chunk(RGB, b"tEXt", b"a\0b", crc=1, before=b"IEND"),
    "wrong checksum of a suggested palette": with_chunk(RGB, b"PLTE", bytes(30), crc=1),
    "wrong checksum of the pixels": RGB[: RGB.index(b"IEND") - 8] + bytes(4) + RGB[RGB.index(b"IEND") - 4 :],
    "wrong checksum of the header": RGB[:29] + bytes(4) + RGB[33:],
    "wrong checksum of the end": RGB[:-4] + bytes(4),
    "damaged color profile": with_chunk(RGB, b"iCCP", b"profile\0\0nonsense"),
    "color profile without a name": with_chunk(RGB, b"iCCP", b""),
    "two gammas": with_chunk(with_chunk(RGB, b"gAMA", b"\0\0\1\0"), b"gAMA", b"\0\0\2\0"),
    "short gamma": with_chunk(RGB, b"gAMA", b"\0"),
    "short physical size": with_chunk(RGB, b"pHYs", b"\0"),
    "short transparent color": with_chunk(RGB, b"tRNS", b"\0"),
    "transparent color of an RGBA image": with_chunk(RGBA, b"tRNS", bytes(6)),
    "palette of a grayscale image": with_chunk(GRAY, b"PLTE", bytes(30)),
    "large compressed text": with_chunk(RGB, b"zTXt", TEXT_BOMB),
    "text after the pixels": with_chunk(RGB, b"zTXt", TEXT_BOMB, before=b"IEND"),
    "unknown ancillary chunk": with_chunk(RGB, b"abCd", b"x"),
    "unknown critical chunk": with_chunk(RGB, b"ABCD", b"x"),
    "no letters": with_chunk(RGB, b"ab1d", b"x"),
    "pixels in two chunks": split_idat(RGB),
    "text between the pixels": split_idat(RGB, chunk(b"tEXt", b"a\0b")),
    "damaged animation": with_chunk(RGB, b"acTL", b"\0"),
    "animation without frames": with_chunk(RGB, b"acTL", bytes(8)),
    "animation after the pixels": with_chunk(RGB, b"acTL", struct.pack(">II", 2, 0), before=b"IEND"),
    "damaged EXIF": with_chunk(RGB, b"eXIf", b"II*\0\xff"),
    "bytes after the end": RGB + b"more",
    "a second image after the end": RGB + RGB,
    "no end": RGB[:-12],
    "no pixels": RGB[: RGB.index(b"IDAT") - 4] + RGB[-12:],
    "too few rows": png(np.asarray(card()), 2).replace(struct.pack(">II", 56, 40), struct.pack(">II", 56, 41), 1),
    "JPEG with a damaged color profile": with_segment(FILES["JPEG"], 0xE2, b"ICC_PROFILE\0"),
    "JPEG with damaged Photoshop data": with_segment(FILES["JPEG"], 0xED, b"Photoshop 3.0\x008BIM"),
    "JPEG with a short JFIF segment": with_segment(FILES["JPEG"], 0xE0, b"JFIF"),
    "JPEG with a short Adobe segment": with_segment(FILES["JPEG"], 0xEE, b"Adobe"),
    "JPEG with a comment": with_segment(FILES["JPEG"], 0xFE, b"\xff" * 40),
    "JPEG with bytes after the end": FILES["JPEG"] + b"more",
    "JPEG after a JPEG": FILES["JPEG"] + FILES["JPEG"],
}


def decoded_by_each(data, color_mode, monkeypatch):
    """Pixels, or `None` if the file is refused, for each installation."""
    found = {}
    for name, missing in INSTALLATIONS.items():
        with monkeypatch.context() as patch:
            for codec in missing:
                patch.setattr(codecs, codec, None)
            try:
                found[name] = decode(data, color_mode, lambda *size: size).pixels
            except SampleError:
                found[name] = None
    return found


def assert_alike(data, monkeypatch, message):
    for color_mode in ("rgb", "grayscale", "rgba"):
        first, *others = decoded_by_each(data, color_mode, monkeypatch).values()
        for other in others:
            assert (first is None) == (other is None), (message, color_mode)
            if first is not None:
                np.testing.assert_array_equal(first, other, err_msg=f"{message}, {color_mode}")
    readable = [decoded_by_each(data, mode, monkeypatch)["Pillow"] is not None for mode in ("rgb", "grayscale", "rgba")]
    assert len({*readable}) == 1, message


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")  # of Pillow
def test_odd_files_are_read_by_all_or_by_none(monkeypatch, kind):
    assert_alike(ODD[kind], monkeypatch, kind)


@pytest.mark.parametrize("kind", [kind for kind in ODD if "checksum of a" in kind or "profile" in kind])
def test_damaged_metadata_does_not_change_the_pixels(read, kind):
    expected = FILES["JPEG" if kind.startswith("JPEG") else "RGB PNG"]
    np.testing.assert_array_equal(read(ODD[kind]), read(expected))


def changed(data, rng):
    """The file with some bytes changed, inserted or removed, anywhere."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, kind = rng.integers(2, len(data)), rng.integers(4)
        if kind == 0:
            data[at] ^= 1 << rng.integers(8)
        elif kind == 1:
            data[at : at + rng.integers(1, 20)] = rng.bytes(rng.integers(1, 20))
        elif kind == 2:
            data[at] = rng.integers(256)
        else:
            del data[at : at + rng.integers(1, 20)]
    return bytes(data)


def changed_files_are_alike(number, monkeypatch):
    rng = np.random.default_rng(SEED)
    small = Image.fromarray(noise(9, 12))
    sound = [
        encoded(small, "png"),
        encoded(card(20, 30), "png", pnginfo=None, dpi=(72, 72)),
        encoded(card(20, 30, "RGBA"), "png"),
        encoded(card(20, 30, "L"), "png"),
        encoded(card(20, 30)),
        encoded(small, progressive=True),
        encoded(card(20, 30, "L")),
    ]
    for index in range(number):
        assert_alike(changed(sound[index % len(sound)], rng), monkeypatch, f"seed {SEED}, file {index}")


@pytest.mark.filterwarnings("ignore")
def test_changed_files_are_read_by_all_or_by_none(monkeypatch):
    changed_files_are_alike(70, monkeypatch)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_many_changed_files_are_read_by_all_or_by_none(monkeypatch):
    print(f"seed {SEED}")
    changed_files_are_alike(5000, monkeypatch)
