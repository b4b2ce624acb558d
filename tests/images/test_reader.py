"""One image file into one buffer: with OpenCV and without it, sound files and broken ones."""

import io
import os
import pickle
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.images import reader as image_module
from keras_oocore.images.jpeg_header import exif_orientation, parse_jpeg_header
from keras_oocore.images.reader import ImageReader
from keras_oocore.images.resize import INTERPOLATIONS, centre_crop, fitted_box, resize_into
from keras_oocore.manifest.manifest import IMAGE_EXTENSIONS

COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


@pytest.fixture(params=["fast", "opencv", "pillow"])
def decoder(request, monkeypatch):
    """Every test that reads a file does so with all of the extra `fast`, with OpenCV alone, and with neither."""
    if request.param != "fast":
        monkeypatch.setattr(image_module, "spng_decode", None)
    elif image_module.spng_decode is None:
        pytest.skip("imagecodecs is not installed")
    if request.param == "pillow":
        monkeypatch.setattr(image_module, "cv2", None)
    elif image_module.cv2 is None:
        pytest.skip("OpenCV is not installed")
    return request.param


@pytest.fixture
def read(decoder, tmp_path):
    """A function that reads a file's bytes, by default at the size of the picture that `card` draws."""

    def read_bytes_as_file(data, name="picture.jpg", image_size=(40, 56), interpolation="nearest", **options):
        path = tmp_path / name
        path.write_bytes(data)
        reader = ImageReader(image_size, interpolation=interpolation, **options)
        out = np.full(reader.shape, 77, "uint8")
        reader.read_into(str(path), out)
        return out

    return read_bytes_as_file


def card(height=40, width=56, mode="RGB"):
    """A picture without symmetry, smooth enough for a JPEG, with alpha from 0 to 255 where it has any."""
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
    """What Pillow alone makes of a file: `(height, width, channels)`."""
    return np.atleast_3d(Image.open(io.BytesIO(data)).convert(mode))


def png(samples, colour_type, interlaced=False):
    """A PNG of 8 or 16 bits with channels as they come, which Pillow cannot write."""
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
    """The JPEG with one more segment behind its first marker."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def rounded(levels):
    """TensorFlow's floats as the reader rounds them."""
    return np.floor(np.clip(np.asarray(levels, "float64"), 0, 255) + 0.5)


def largest_difference(one, other):
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int)).max()


FILES = {
    "JPEG": encoded(card()),
    "progressive JPEG": encoded(card(), progressive=True),
    "grey JPEG": encoded(card(mode="L")),
    "CMYK JPEG": encoded(card(mode="CMYK")),
    "4:4:4 JPEG": encoded(card(), subsampling=0),
    "RGB PNG": encoded(card(), "png"),
    "RGBA PNG": encoded(card(mode="RGBA"), "png"),
    "grey PNG": encoded(card(mode="L"), "png"),
    "grey PNG with alpha": encoded(card(mode="RGBA").convert("LA"), "png"),
    "interlaced PNG": png(np.asarray(card()), 2, interlaced=True),
    "palette PNG": encoded(card().quantize(32), "png"),
    "palette PNG with one clear colour": encoded(card().quantize(32), "png", transparency=3),
    "palette PNG with alpha": encoded(card().quantize(32), "png", transparency=bytes(range(0, 256, 8))),
    "RGB PNG with one clear colour": encoded(card(), "png", transparency=card().getpixel((9, 9))),
    "grey PNG with a clear level": encoded(card(mode="L"), "png", transparency=99),
    "1-bit PNG": encoded(card(mode="1"), "png"),
    "BMP": encoded(card(), "bmp"),
    "grey BMP": encoded(card(mode="L"), "bmp"),
    "palette BMP": encoded(card().quantize(16), "bmp"),
    "GIF": encoded(card(), "gif"),
    "GIF with a clear colour": encoded(card().quantize(32), "gif", transparency=3),
    "WebP": encoded(card(), "webp"),
    "WebP with alpha": encoded(card(mode="RGBA"), "webp", lossless=True),
    "TIFF": encoded(card(), "tiff"),
    "LZW TIFF": encoded(card(), "tiff", compression="tiff_lzw"),
    "JPEG in a TIFF": encoded(card(), "tiff", compression="jpeg"),
    "CMYK TIFF": encoded(card(mode="CMYK"), "tiff"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # of Pillow's conversion here, not the reader's
def test_every_kind_of_file_reads_as_pillow_converts_it(read, kind, color_mode):
    expected = opened(FILES[kind], COLOR_MODES[color_mode])
    if color_mode == "grayscale" and kind in ("JPEG", "progressive JPEG", "4:4:4 JPEG"):
        image = Image.open(io.BytesIO(FILES[kind]))
        image.draft("L", None)
        expected = np.atleast_3d(image)  # the stored luma, not one computed from RGB
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read(FILES[kind], color_mode=color_mode)
    np.testing.assert_array_equal(pixels, expected)


def test_alpha_is_dropped_for_rgb_kept_for_rgba_and_full_where_there_is_none(read):
    pixels = read(FILES["RGBA PNG"], color_mode="rgba")
    assert pixels[0, 0, 3] == 255
    assert pixels[-1, 0, 3] == 0
    np.testing.assert_array_equal(read(FILES["RGBA PNG"]), np.asarray(card()))
    assert (read(FILES["JPEG"], color_mode="rgba")[..., 3] == 255).all()


def test_resizing_does_not_let_alpha_change_the_colours(read):
    clear = np.dstack([noise(40, 56), np.zeros((40, 56), "uint8")])
    options = {"image_size": (9, 13), "interpolation": "bilinear"}
    pixels = read(encoded(Image.fromarray(clear), "png"), color_mode="rgba", **options)
    opaque = read(encoded(Image.fromarray(clear[..., :3]), "png"), **options)
    np.testing.assert_array_equal(pixels[..., :3], opaque)


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_a_png_of_16_bits_keeps_the_high_byte(read, color_mode, colour_type, channels):
    samples = np.random.default_rng(0).integers(0, 65536, (40, 56, channels), dtype="uint16")
    eight_bits = png((samples >> 8).astype("uint8"), colour_type)
    pixels = read(png(samples, colour_type), color_mode=color_mode)
    np.testing.assert_array_equal(pixels, read(eight_bits, color_mode=color_mode))
    assert pixels[..., 0].max() > 200


@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "<u2"), ("I;16B", ">u2")])
def test_a_tiff_of_16_bits_keeps_the_high_byte(read, mode, dtype):
    samples = np.random.default_rng(0).integers(0, 65536, (40, 56), dtype="uint16")
    image = Image.frombytes(mode, (56, 40), samples.astype(dtype).tobytes())
    pixels = read(encoded(image, "tiff"), color_mode="grayscale")
    np.testing.assert_array_equal(pixels[..., 0], samples >> 8)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_pixels_of_32_bits_are_refused_because_nobody_knows_their_range(read, dtype):
    with pytest.raises(SampleError, match=r"32-bit pixels .* save it with 8 or 16 bits"):
        read(encoded(Image.fromarray(np.zeros((4, 4), dtype)), "tiff"))


def test_only_the_first_frame_of_an_animation_is_read(read):
    frames = [Image.new("RGB", (56, 40), colour) for colour in ("red", "lime", "blue")]
    for format in ("gif", "webp", "png", "tiff"):
        options = {"lossless": True} if format == "webp" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert read(data)[20, 28].tolist() == [255, 0, 0], format
    with_a_still = encoded(frames[0], "png", save_all=True, append_images=frames[1:], default_image=True)
    assert read(with_a_still)[20, 28].tolist() == [255, 0, 0]  # OpenCV 5.0 starts with the next


def test_the_first_bytes_tell_the_format_whatever_the_name_says(read):
    np.testing.assert_array_equal(read(FILES["RGB PNG"], name="really_a_png.jpg"), np.asarray(card()))
    np.testing.assert_array_equal(read(FILES["JPEG"], name="really_a_jpeg.gif"), opened(FILES["JPEG"]))


def test_the_extensions_are_sorted_lower_case_and_have_dots():
    assert sorted({extension.lower() for extension in IMAGE_EXTENSIONS}) == list(IMAGE_EXTENSIONS)
    assert all(extension.startswith(".") for extension in IMAGE_EXTENSIONS)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_a_picture_stands_upright(read, orientation, color_mode, format):
    options = {"lossless": True} if format == "webp" else {}
    data = encoded(card(), format, exif=orientation_exif(orientation), **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (upright.height > upright.width) == (orientation > 4)
    pixels = read(data, image_size=(upright.height, upright.width), color_mode=color_mode)
    # A level apart: for grey, Pillow's upright RGB is converted here, where the reader takes the stored luma.
    assert largest_difference(pixels, np.atleast_3d(upright.convert(COLOR_MODES[color_mode]))) <= 1


def test_the_scale_of_a_lying_jpeg_is_chosen_for_the_upright_picture(read):
    stored = card(200, 1600)
    data = encoded(stored, exif=orientation_exif(6))
    half = Image.open(io.BytesIO(data))
    half.draft("RGB", (800, 100))
    upright = np.asarray(ImageOps.exif_transpose(half))
    assert upright.shape == (800, 100, 3)
    np.testing.assert_array_equal(read(data, image_size=(800, 100)), upright)
    full = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    expected = np.empty((100, 150, 3), "uint8")  # wider than 100: not even half scale covers it
    resize_into(full, expected, "nearest")
    np.testing.assert_array_equal(read(data, image_size=(100, 150)), expected)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"MM\0*\0\0\0\x08",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\1\2" * 9,
        b"nonsense" * 9,
    ],
)
def test_a_damaged_exif_block_costs_neither_the_picture_nor_a_warning(read, exif):
    assert exif_orientation(b"Exif\0\0" + exif) == 1
    data = with_segment(FILES["JPEG"], 0xE1, b"Exif\0\0" + exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(data), opened(FILES["JPEG"]))


def test_an_orientation_that_does_not_exist_is_upright():
    for value, kind, expected in ((8, 3, 8), (1, 3, 1), (0, 3, 1), (9, 3, 1), (6, 4, 1)):
        entry = struct.pack("<HHIHH", 0x0112, kind, 1, value, 0)
        other = struct.pack("<HHII", 0x010F, 2, 4, 0)
        assert exif_orientation(b"II*\0\x08\0\0\0\2\0" + other + entry) == expected


@given(st.binary(max_size=80))
def test_no_exif_block_can_make_orientation_anything_but_1_to_8(block):
    assert 1 <= exif_orientation(block) <= 8
    assert 1 <= exif_orientation(b"II*\0\x08\0\0\0" + block) <= 8


# JPEG headers and scales


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"exif": orientation_exif(3)}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_the_header_agrees_with_pillow(mode, options):
    data = encoded(card(mode=mode), **options)
    header = parse_jpeg_header(data)
    assert header[:3] == (40, 56, len(mode) if mode != "L" else 1)
    assert exif_orientation(data[header.exif][4:]) == (3 if "exif" in options else 1)
    assert "exif" not in Image.open(io.BytesIO(data[: header.exif.start] + data[header.exif.stop :])).info
    assert data.rfind(b"\xff\xda", 0, header.scan_start) > 0


def test_fill_bytes_between_segments_are_skipped():
    data = FILES["JPEG"]
    for num_fill_bytes in (1, 2, 3):
        assert parse_jpeg_header(data[:2] + b"\xff" * num_fill_bytes + data[2:]).width == 56


def test_only_8_bits_with_known_sizes_are_an_ordinary_jpeg():
    data = bytearray(encoded(card()))
    frame = data.index(b"\xff\xc0")
    assert parse_jpeg_header(bytes(data)) is not None
    for offset, value in ((1, 0xC9), (4, 12), (6, 0)):  # arithmetic coding, 12 bits, height given after the scan
        odd = data.copy()
        odd[frame + offset] = value
        assert parse_jpeg_header(bytes(odd)) is None


@given(st.binary(max_size=60))
def test_no_header_is_found_in_noise(tail):
    assert parse_jpeg_header(tail) is None
    assert parse_jpeg_header(b"\xff\xd8\xff\xda\0\x02" + tail) is None  # a scan before any frame


def test_an_odd_jpeg_is_left_to_pillow(read):
    junk_between_segments = FILES["JPEG"][:20] + b"junk" + FILES["JPEG"][20:]
    assert parse_jpeg_header(junk_between_segments) is None
    for color_mode in COLOR_MODES:
        ordinary = read(FILES["JPEG"], color_mode=color_mode)
        np.testing.assert_array_equal(read(junk_between_segments, color_mode=color_mode), ordinary)


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("denominator", [2, 4, 8])
def test_a_large_jpeg_is_decoded_at_the_smallest_scale_that_covers(read, color_mode, options, denominator):
    data = encoded(Image.fromarray(noise(320, 480)), **options)
    image = Image.open(io.BytesIO(data))
    image.draft("L" if color_mode == "grayscale" else "RGB", (480 // denominator, 320 // denominator))
    expected = np.atleast_3d(image.convert(COLOR_MODES[color_mode]))
    pixels = read(data, image_size=expected.shape[:2], color_mode=color_mode)
    np.testing.assert_array_equal(pixels, expected)  # no full decode looks like this: the picture is noise
    one_more = read(data, image_size=(expected.shape[0] + 1, expected.shape[1]), color_mode=color_mode)
    at_next_scale = opened_at(data, denominator // 2, color_mode)
    nearest = np.empty_like(one_more)
    resize_into(at_next_scale, nearest, "nearest")
    np.testing.assert_array_equal(one_more, nearest)


def opened_at(data, denominator, color_mode):
    image = Image.open(io.BytesIO(data))
    image.draft("L" if color_mode == "grayscale" else "RGB", (image.width // denominator, image.height // denominator))
    return np.atleast_3d(image.convert(COLOR_MODES[color_mode]))


@pytest.mark.parametrize("size", [(1201, 1607), (1200, 1600)])
def test_the_scaled_decode_of_a_photograph_looks_like_the_full_one(read, size):
    data = encoded(card(*size), quality=95)
    same_at_full_scale = encoded(Image.fromarray(opened(data)), "png")
    for how in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
        options = {"image_size": (100, 150), "interpolation": "bilinear", **how}
        # The card changes by two levels a pixel at most: nothing may wander by more than two pixels.
        assert largest_difference(read(data, **options), read(same_at_full_scale, **options)) <= 5


def test_padding_lets_a_wide_jpeg_be_decoded_as_small_as_it_is_shown(read):
    data = encoded(Image.fromarray(noise(80, 800)))
    pixels = read(data, image_size=(100, 100), pad_to_aspect_ratio=True)
    assert not pixels[:45].any()
    assert not pixels[55:].any()
    np.testing.assert_array_equal(pixels[45:55], opened_at(data, 8, "rgb"))


def test_the_place_of_a_padded_jpeg_does_not_depend_on_its_scale(read):
    picture = Image.new("L", (800, 403), 255)
    for format in ("jpeg", "png"):
        padded = read(encoded(picture, format), image_size=(100, 100), pad_to_aspect_ratio=True)
        assert np.flatnonzero(padded.any(axis=(1, 2))).tolist() == list(range(24, 74)), format


# Interpolations, cropping, padding

FIVE_LEVELS = [0, 100, 200, 50, 250]
RESIZED_TO_3_AND_8 = {  # by tf.image.resize of TensorFlow 2.21, rounded half up
    "bilinear": ([33, 200, 183], [0, 44, 106, 169, 153, 59, 163, 250]),
    "nearest": ([0, 200, 250], [0, 0, 100, 200, 200, 50, 250, 250]),
    "bicubic": ([24, 200, 190], [0, 34, 107, 187, 160, 50, 163, 255]),
    "area": ([40, 150, 170], [0, 40, 100, 180, 170, 50, 170, 250]),
    "lanczos3": ([18, 200, 184], [0, 26, 111, 205, 150, 48, 159, 255]),
    "lanczos5": ([9, 200, 182], [0, 15, 115, 220, 139, 47, 158, 255]),
    "gaussian": ([34, 173, 182], [6, 44, 105, 165, 151, 87, 162, 238]),
    "mitchellcubic": ([29, 186, 184], [0, 39, 107, 177, 154, 69, 162, 253]),
}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_each_interpolation_is_pinned(interpolation):
    for axis in (0, 1):
        for expected in RESIZED_TO_3_AND_8[interpolation]:
            pixels = np.array(FIVE_LEVELS, "uint8").reshape([(5, 1, 1), (1, 5, 1)][axis])
            out = np.empty([(len(expected), 1, 1), (1, len(expected), 1)][axis], "uint8")
            resize_into(pixels, out, interpolation)
            assert out.ravel().tolist() == expected


SIZES = [
    (1, 1, 7, 5),
    (2, 3, 1, 1),
    (40, 56, 20, 28),
    (61, 61, 61, 61),
    (31, 100, 224, 7),
    (300, 7, 33, 60),
    (700, 900, 50, 96),
]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_each_interpolation_is_tensorflows(interpolation, channels):
    tf = pytest.importorskip("tensorflow")
    for height, width, new_height, new_width in SIZES:
        pixels = noise(height, width, channels)
        out = np.empty((new_height, new_width, channels), "uint8")
        resize_into(pixels, out, interpolation)
        expected = np.clip(tf.image.resize(pixels, (new_height, new_width), method=interpolation), 0, 255)
        assert np.abs(out - expected).max() <= (0 if interpolation == "nearest" else 0.501)


def test_the_reader_interpolates_as_tensorflow_does(read):
    tf = pytest.importorskip("tensorflow")
    pixels = noise(150, 130)
    for interpolation in INTERPOLATIONS:
        for size in ((80, 80), (224, 200), (75, 65)):
            out = read(encoded(Image.fromarray(pixels), "png"), image_size=size, interpolation=interpolation)
            assert largest_difference(out, rounded(tf.image.resize(pixels, size, method=interpolation))) <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_a_plain_colour_stays_itself(interpolation, height, width, new_height, new_width, level):
    out = np.empty((new_height, new_width, 2), "uint8")
    resize_into(np.full((height, width, 2), level, "uint8"), out, interpolation)
    assert (out == level).all()


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 300), st.integers(1, 300))
def test_a_crop_and_a_fit_lie_inside_and_in_the_middle(in_height, in_width, height, width):
    pixels = np.broadcast_to(np.uint8(0), (in_height, in_width, 3))
    crop_height, crop_width = centre_crop(pixels, height, width).shape[:2]
    assert crop_height in (1, in_height) or crop_width in (1, in_width)
    assert abs(crop_height * width - crop_width * height) < max(height, width) or 1 in (crop_height, crop_width)
    top, left, fitted_height, fitted_width = fitted_box(in_height, in_width, height, width)
    assert abs(height - fitted_height - 2 * top) <= 2
    assert abs(width - fitted_width - 2 * left) <= 2
    assert fitted_height >= height - 1 or fitted_width >= width - 1
    assert min(top, left) >= 0
    assert top + fitted_height <= height
    assert left + fitted_width <= width


def test_an_uneven_crop_leaves_the_odd_pixel_at_the_end():
    assert centre_crop(np.arange(4)[None, :, None], 1, 1).ravel().tolist() == [1]
    assert centre_crop(np.arange(7)[:, None, None], 4, 1).ravel().tolist() == [1, 2, 3, 4]


def test_a_crop_takes_the_middle_and_padding_adds_black_bars(read):
    thirds = Image.fromarray(np.repeat(np.array([[10, 20, 30]], "uint8"), 30, axis=1).repeat(30, axis=0))
    data = encoded(thirds, "png")
    cropped = read(data, image_size=(6, 6), crop_to_aspect_ratio=True, color_mode="grayscale")
    assert (cropped == 20).all()
    padded = read(data, image_size=(9, 9), pad_to_aspect_ratio=True, color_mode="grayscale")
    assert not padded[:3].any()
    assert not padded[6:].any()
    assert padded[4, :, 0].tolist() == [10] * 3 + [20] * 3 + [30] * 3


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "area", "lanczos3"])
@pytest.mark.parametrize("how", ["stretch", "crop_to_aspect_ratio", "pad_to_aspect_ratio"])
def test_the_result_is_that_of_image_dataset_from_directory(decoder, tmp_path, how, interpolation):
    pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    for index, (height, width) in enumerate([(50, 81), (81, 50), (64, 64), (37, 300), (301, 40), (20, 20), (123, 77)]):
        Image.fromarray(noise(height, width, seed=index)).save(tmp_path / f"{index}.png")
    options = {} if how == "stretch" else {how: True}
    for image_size in ((32, 32), (33, 47), (90, 60)):
        dataset = keras.utils.image_dataset_from_directory(
            tmp_path,
            labels=None,
            image_size=image_size,
            batch_size=None,
            shuffle=False,
            interpolation=interpolation,
            data_format="channels_last",
            verbose=False,
            **options,
        )
        reader = ImageReader(image_size, interpolation=interpolation, **options)
        for path, expected in zip(dataset.file_paths, dataset.as_numpy_iterator()):
            out = np.empty(reader.shape, "uint8")
            reader.read_into(path, out)
            assert largest_difference(out, rounded(expected)) <= 1, (path, image_size)


@pytest.mark.parametrize("how", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}], ids=str)
@pytest.mark.parametrize("interpolation", ["bilinear", "area"])
@pytest.mark.parametrize("format", ["png", "jpeg", "gif"])
def test_extreme_shapes_are_read(read, how, interpolation, format):
    for size in ((1, 1), (1, 5000), (5000, 1)):
        pixels = read(
            encoded(Image.new("L", size, 200), format), image_size=(32, 48), interpolation=interpolation, **how
        )
        shown = pixels[pixels > 0] if how.get("pad_to_aspect_ratio") else pixels
        assert shown.size > 0
        assert np.abs(shown.astype(int) - 200).max() <= 1


# With and without OpenCV


def read_both_ways(reader, path, monkeypatch):
    pytest.importorskip("cv2")
    results = []
    for cv2, spng_decode in ((image_module.cv2, image_module.spng_decode), (None, None)):
        with monkeypatch.context() as patch:
            patch.setattr(image_module, "cv2", cv2)
            patch.setattr(image_module, "spng_decode", spng_decode)
            out = np.empty(reader.shape, "uint8")
            reader.read_into(path, out)
            results.append(out)
    return results


@pytest.mark.parametrize("color_mode", COLOR_MODES)
def test_opencv_and_pillow_agree_within_one_level_on_noise(tmp_path, monkeypatch, color_mode):
    for index, size in enumerate([(150, 130), (333, 500), (64, 64), (448, 450)]):
        for format in ("jpeg", "png"):
            path = tmp_path / f"{index}.{format}"
            Image.fromarray(noise(*size)).save(path)
            for options in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
                one, other = read_both_ways(ImageReader((64, 80), color_mode, **options), path, monkeypatch)
                assert largest_difference(one, other) <= 1


def test_opencv_and_pillow_agree_within_one_level_on_photographs(monkeypatch):
    data = Path(os.environ.get("KERAS_OOCORE_DATA", Path(__file__).parents[3] / "shared" / "data"))
    paths = sorted((data / "photos").glob("*"))[::10] + sorted((data / "plant_seedlings").glob("*/*"))[::100]
    if not paths:
        pytest.skip(f"no photographs at {data}; set KERAS_OOCORE_DATA to their folder")
    for path in paths:
        for reader in (ImageReader((224, 224)), ImageReader((80, 80)), ImageReader((80, 80), "grayscale")):
            one, other = read_both_ways(reader, path, monkeypatch)
            assert largest_difference(one, other) <= 1, path


# What cannot be read


def cut(data, count):
    """`count` ever longer beginnings of a file, up to seven eighths of it."""
    return [data[:size] for size in np.linspace(1, len(data) * 7 // 8, count, dtype=int)]


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "JPEG in a TIFF"])  # libtiff prints on that one
@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_truncated_file_raises_and_prints_nothing(read, kind, capfd):
    for data in cut(FILES[kind], 40):
        with pytest.raises(SampleError):
            read(data)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow, of a TIFF without its directory
def test_a_file_without_its_last_bytes_raises_or_loses_no_pixel(read, kind):
    whole = read(FILES[kind])
    for missing in range(1, 30):
        try:
            pixels = read(FILES[kind][:-missing])
        except SampleError:
            continue
        np.testing.assert_array_equal(pixels, whole)


def test_a_truncated_jpeg_says_so_even_when_it_holds_a_whole_thumbnail(read):
    thumbnail = with_segment(FILES["JPEG"], 0xE2, b"preview" + encoded(card(10, 14)))
    with pytest.raises(SampleError, match=r"^truncated: "):
        read(thumbnail[: len(thumbnail) * 3 // 4])
    large = encoded(Image.fromarray(noise(300, 400)))
    with pytest.raises(SampleError, match=r"^truncated: ") as raised:
        read(large[: len(large) // 2])
    assert raised.value.__cause__ is not None
    assert "picture" not in str(raised.value)  # the floor above names the file


def test_opencv_is_not_asked_for_a_jpeg_without_an_end(read, monkeypatch):
    monkeypatch.setattr(image_module, "_opencv_pixels", lambda *_: np.zeros((40, 56, 3), "uint8"))
    for size in (len(FILES["JPEG"]) - 2, len(FILES["JPEG"]) // 2):
        with pytest.raises(SampleError, match=r"^truncated: "):
            read(FILES["JPEG"][:size])


def test_running_out_of_memory_is_not_the_files_fault(read, monkeypatch):
    def run_out(*_):
        raise MemoryError

    monkeypatch.setattr(image_module, "_pillow_pixels", run_out)
    with pytest.raises(MemoryError):
        read(FILES["GIF"])


def test_pillows_switch_for_truncated_files_is_respected(read, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(card(400, 560))
    pixels = read(data[: len(data) * 3 // 4], image_size=(400, 560))
    np.testing.assert_array_equal(pixels[:200], opened(data)[:200])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "^empty file$"),
        (b"<!DOCTYPE html><title>404</title>", "not an image that can be decoded: it starts with b'<!DOCTYPE html"),
        (b"\xff\xd8\xff", "not an image|truncated"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (b"P5 2 2 255 abcd", "not an image"),
    ],
)
def test_what_is_no_image_is_named_as_such(read, data, words):
    with pytest.raises(SampleError, match=words):
        read(data)


def test_a_file_that_cannot_be_opened_says_why(decoder, tmp_path, monkeypatch):
    reader = ImageReader((8, 8))
    out = np.empty(reader.shape, "uint8")
    with pytest.raises(SampleError, match=r"^file not found$"):
        reader.read_into(str(tmp_path / "missing.png"), out)
    with pytest.raises(SampleError, match=r"directory|permission denied"):
        reader.read_into(str(tmp_path), out)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(image_module, "open", refuse, raising=False)
    with pytest.raises(SampleError, match=r"^permission denied$"):
        reader.read_into(str(tmp_path / "secret.png"), out)


def test_a_damaged_png_is_reported_in_pillows_words(read):
    data = bytearray(FILES["RGB PNG"])
    data[len(data) // 2] ^= 255
    with pytest.raises(SampleError, match="not an image that can be decoded: "):
        read(bytes(data))


@pytest.mark.parametrize("kind", ["JPEG", "CMYK JPEG", "RGB PNG", "palette PNG", "BMP", "GIF", "WebP", "TIFF"])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(read, kind, monkeypatch):
    monkeypatch.setattr(image_module, "_pillow_pixels", None)
    for limit in (40 * 56 - 1, 40 * 56 // 2 - 1):  # Pillow itself warns at the first and raises at the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(SampleError, match=r"PIL\.Image\.MAX_IMAGE_PIXELS.* decompression bomb") as raised:
                read(FILES[kind])
        if kind not in ("GIF", "WebP"):  # Pillow checks those two itself while it opens them
            assert f"of 56x40 pixels, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}" in str(raised.value)


def test_the_limit_on_pixels_can_be_lifted(read, monkeypatch):
    for limit in (40 * 56, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(read(FILES["RGB PNG"]), np.asarray(card()))


# The reader as an object


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padded", [False, True])
def test_exactly_one_row_of_a_batch_is_written(decoder, tmp_path, color_mode, interpolation, padded):
    card(100, 300).save(tmp_path / "a.png")
    reader = ImageReader((24, 32), color_mode, interpolation, pad_to_aspect_ratio=padded)
    batches = [np.full((3, *reader.shape), filler, "uint8") for filler in (7, 99)]
    for batch in batches:
        reader.read_into(str(tmp_path / "a.png"), batch[1])
        assert (batch[[0, 2]] == batch[0, 0, 0, 0]).all()
    np.testing.assert_array_equal(batches[0][1], batches[1][1])  # nothing of what lay there before shows through


def test_threads_share_a_reader_and_a_pickled_one_reads_the_same(decoder, tmp_path):
    paths = []
    for index in range(24):
        paths.append(str(tmp_path / f"{index}.{('jpg', 'png', 'gif')[index % 3]}"))
        Image.fromarray(noise(90 + index, 120, seed=index)).save(paths[-1])
    reader = ImageReader((33, 44), interpolation="bicubic", crop_to_aspect_ratio=True)
    one_by_one, together = np.zeros((2, len(paths), *reader.shape), "uint8")
    for path, out in zip(paths, one_by_one):
        pickle.loads(pickle.dumps(reader)).read_into(path, out)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reader.read_into, paths, together))
    np.testing.assert_array_equal(one_by_one, together)


def test_a_buffer_of_the_wrong_kind_is_refused(decoder, tmp_path):
    card().save(tmp_path / "a.png")
    reader = ImageReader((8, 6))
    wrong = [
        np.empty((6, 8, 3), "uint8"),
        np.empty((8, 6), "uint8"),
        np.empty((8, 6, 3), "float32"),
        np.empty((8, 12, 3), "uint8")[:, ::2],
    ]
    for out in wrong:
        with pytest.raises(ValueError, match=r"C-contiguous uint8 array of shape \(8, 6, 3\). Received: "):
            reader.read_into(str(tmp_path / "a.png"), out)


def test_defaults_are_those_of_keras():
    reader = ImageReader()
    assert (reader.shape, reader.dtype) == ((256, 256, 3), np.uint8)
    assert (reader.color_mode, reader.interpolation) == ("rgb", "bilinear")
    assert ImageReader(64, "rgba").shape == (64, 64, 4)
    assert ImageReader((np.int64(5), 7), "grayscale").shape == (5, 7, 1)


@pytest.mark.parametrize(
    "image_size", [0, -1, (0, 5), (5, -5), (5,), (5, 6, 7), (5.5, 6), 80.0, "80x80", None, True, "ab"]
)
def test_a_bad_image_size_is_refused(image_size):
    with pytest.raises(OptionError, match=r"two positive integers\. Received: image_size="):
        ImageReader(image_size)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color_mode": "bgr"}, '"grayscale", "rgb", "rgba". Received: color_mode=\'bgr\''),
        ({"color_mode": ["rgb"]}, r"Received: color_mode=\['rgb'\]"),
        ({"interpolation": "cubic"}, '"bilinear", "nearest", .*Received: interpolation=\'cubic\''),
        (
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            "Only one of .*Received: crop_to_aspect_ratio=True",
        ),
    ],
)
def test_a_bad_option_is_refused_and_the_good_ones_named(options, words):
    with pytest.raises(OptionError, match=words):
        ImageReader(**options)
