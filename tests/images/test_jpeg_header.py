"""JPEG headers and EXIF orientation, also of damaged and unusual files."""

import io

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from image_files import (
    FILES,
    card,
    encoded,
    orientation_exif,
)
from PIL import Image

from keras_oocore.images.jpeg_header import parse_jpeg_header, without_metadata
from keras_oocore.images.orientation import exif_orientation


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"exif": orientation_exif(3)}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_header_equals_pillow(mode, options):
    data = encoded(card(mode=mode), **options)
    header = parse_jpeg_header(data)
    assert header[:3] == (40, 56, len(mode) if mode != "L" else 1)
    assert exif_orientation(data[header.exif]) == (3 if "exif" in options else None)
    bare = Image.open(io.BytesIO(without_metadata(data)))
    assert "exif" not in bare.info
    assert bare.tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert data.rfind(b"\xff\xda", 0, header.scan_start) > 0


def test_fill_bytes_between_segments_are_skipped():
    data = FILES["JPEG"]
    for num_fill_bytes in (1, 2, 3):
        assert parse_jpeg_header(data[:2] + b"\xff" * num_fill_bytes + data[2:]).width == 56


def test_unusual_jpeg_has_no_header():
    data = bytearray(encoded(card()))
    frame = data.index(b"\xff\xc0")
    assert parse_jpeg_header(bytes(data)) is not None
    for offset, value in ((1, 0xC9), (4, 12), (6, 0)):  # arithmetic coding, 12 bits, height given after the scan
        odd = data.copy()
        odd[frame + offset] = value
        assert parse_jpeg_header(bytes(odd)) is None


@given(st.binary(max_size=60))
@examples(40)
def test_random_bytes_have_no_header(tail):
    assert parse_jpeg_header(tail) is None
    assert parse_jpeg_header(b"\xff\xd8\xff\xda\0\x02" + tail) is None  # a scan before any frame
