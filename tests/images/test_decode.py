"""Every format, color mode and EXIF orientation, and damaged files: the pixels are those of Pillow."""

import io
import warnings

import numpy as np
import pytest
from image_files import (
    COLOR_MODES,
    FILES,
    KINDS_AND_DECODERS,
    card,
    encoded,
    largest_difference,
    noise,
    opened,
    orientation_exif,
    png,
    with_segment,
)
from PIL import Image, ImageFile, ImageOps

from keras_oocore.core.errors import SampleError
from keras_oocore.images import decode as decode_module
from keras_oocore.images import jpeg as jpeg_module
from keras_oocore.images.jpeg_header import parse_jpeg_header
from keras_oocore.images.orientation import exif_orientation
from keras_oocore.images.resize import resize_into


@pytest.mark.parametrize(("kind", "decoder"), KINDS_AND_DECODERS, indirect=["decoder"])
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # from the conversion in this test
def test_pixels_equal_pillow(read, kind):
    for color_mode, mode in COLOR_MODES.items():
        expected = opened(FILES[kind], mode)
        if color_mode == "grayscale" and kind in ("JPEG", "progressive JPEG", "4:4:4 JPEG"):
            image = Image.open(io.BytesIO(FILES[kind]))
            image.draft("L", None)
            expected = np.atleast_3d(image)  # the stored luma, not computed from RGB
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pixels = read(FILES[kind], color_mode=color_mode)
        np.testing.assert_array_equal(pixels, expected, err_msg=color_mode)


def test_alpha_channel(read):
    pixels = read(FILES["RGBA PNG"], color_mode="rgba")
    assert pixels[0, 0, 3] == 255
    assert pixels[-1, 0, 3] == 0
    np.testing.assert_array_equal(read(FILES["RGBA PNG"]), np.asarray(card()))
    assert (read(FILES["JPEG"], color_mode="rgba")[..., 3] == 255).all()


@pytest.mark.filterwarnings("ignore:.* has 16 bits per channel")
@pytest.mark.parametrize(
    ("color_mode", "colour_type", "channels"),
    [("grayscale", 0, 1), ("rgb", 0, 1), ("rgb", 2, 3), ("rgba", 4, 2), ("rgb", 6, 4), ("rgba", 6, 4)],
)
def test_16_bit_png_keeps_the_high_byte(read, color_mode, colour_type, channels):
    samples = np.random.default_rng(0).integers(0, 65536, (40, 56, channels), dtype="uint16")
    eight_bits = png((samples >> 8).astype("uint8"), colour_type)
    pixels = read(png(samples, colour_type), color_mode=color_mode)
    np.testing.assert_array_equal(pixels, read(eight_bits, color_mode=color_mode))
    assert pixels[..., 0].max() > 200


@pytest.mark.filterwarnings("ignore:.* has 16 bits per channel")
@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "<u2"), ("I;16B", ">u2")])
def test_16_bit_tiff_keeps_the_high_byte(read, mode, dtype):
    samples = np.random.default_rng(0).integers(0, 65536, (40, 56), dtype="uint16")
    image = Image.frombytes(mode, (56, 40), samples.astype(dtype).tobytes())
    pixels = read(encoded(image, "tiff"), color_mode="grayscale")
    np.testing.assert_array_equal(pixels[..., 0], samples >> 8)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_32_bit_pixels_raise(read, dtype):
    with pytest.raises(SampleError, match=r"32-bit pixels .* save the image with 8 or 16 bits"):
        read(encoded(Image.fromarray(np.zeros((4, 4), dtype)), "tiff"))


def test_first_frame_of_an_animation_is_read(read):
    frames = [Image.new("RGB", (56, 40), colour) for colour in ("red", "lime", "blue")]
    for format in ("gif", "webp", "png", "tiff"):
        options = {"lossless": True} if format == "webp" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert read(data)[20, 28].tolist() == [255, 0, 0], format
    with_a_still = encoded(frames[0], "png", save_all=True, append_images=frames[1:], default_image=True)
    assert read(with_a_still)[20, 28].tolist() == [255, 0, 0]  # OpenCV 5.0 starts with the next frame


def test_format_is_determined_by_the_first_bytes(read):
    np.testing.assert_array_equal(read(FILES["RGB PNG"], name="really_a_png.jpg"), np.asarray(card()))
    np.testing.assert_array_equal(read(FILES["JPEG"], name="really_a_jpeg.gif"), opened(FILES["JPEG"]))


@pytest.mark.parametrize(
    ("orientation", "color_mode", "format"),
    [(orientation, "rgb", "jpeg") for orientation in range(1, 9)]
    + [(6, "grayscale", "jpeg"), (7, "rgba", "jpeg"), (6, "rgb", "png"), (7, "rgba", "webp"), (8, "grayscale", "tiff")],
)
def test_exif_orientation_is_applied(read, orientation, color_mode, format):
    options = {"lossless": True} if format == "webp" else {}
    data = encoded(card(), format, exif=orientation_exif(orientation), **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (upright.height > upright.width) == (orientation > 4)
    pixels = read(data, image_size=(upright.height, upright.width), color_mode=color_mode)
    # For grayscale, Pillow converts RGB here, while the reader uses the stored luma.
    assert largest_difference(pixels, np.atleast_3d(upright.convert(COLOR_MODES[color_mode]))) <= 1


def test_jpeg_scale_is_chosen_after_rotation(read):
    stored = card(200, 1600)
    data = encoded(stored, exif=orientation_exif(6))
    half = Image.open(io.BytesIO(data))
    half.draft("RGB", (800, 100))
    upright = np.asarray(ImageOps.exif_transpose(half))
    assert upright.shape == (800, 100, 3)
    np.testing.assert_array_equal(read(data, image_size=(800, 100)), upright)
    full = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    expected = np.empty((100, 150, 3), "uint8")  # wider than 100, so half scale would be too small
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
def test_damaged_exif_block_is_ignored_without_a_warning(read, exif):
    assert exif_orientation(b"Exif\0\0" + exif) is None
    data = with_segment(FILES["JPEG"], 0xE1, b"Exif\0\0" + exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read(data), opened(FILES["JPEG"]))


def test_unusual_jpeg_is_decoded_by_pillow(read):
    junk_between_segments = FILES["JPEG"][:20] + b"junk" + FILES["JPEG"][20:]
    assert parse_jpeg_header(junk_between_segments) is None
    for color_mode in COLOR_MODES:
        ordinary = read(FILES["JPEG"], color_mode=color_mode)
        np.testing.assert_array_equal(read(junk_between_segments, color_mode=color_mode), ordinary)


def opened_at(data, denominator, color_mode):
    image = Image.open(io.BytesIO(data))
    image.draft("L" if color_mode == "grayscale" else "RGB", (image.width // denominator, image.height // denominator))
    return np.atleast_3d(image.convert(COLOR_MODES[color_mode]))


@pytest.mark.parametrize(
    ("color_mode", "options", "denominator"),
    [
        ("rgb", {}, 2),
        ("rgb", {"progressive": True}, 4),
        ("rgb", {"subsampling": 0}, 8),
        ("grayscale", {}, 8),
        ("grayscale", {"subsampling": 0}, 4),
        ("rgba", {"progressive": True}, 2),
    ],
)
def test_large_jpeg_is_decoded_at_a_smaller_scale(read, color_mode, options, denominator):
    data = encoded(Image.fromarray(noise(320, 480)), **options)
    image = Image.open(io.BytesIO(data))
    image.draft("L" if color_mode == "grayscale" else "RGB", (480 // denominator, 320 // denominator))
    expected = np.atleast_3d(image.convert(COLOR_MODES[color_mode]))
    pixels = read(data, image_size=expected.shape[:2], color_mode=color_mode)
    np.testing.assert_array_equal(pixels, expected)  # the image is noise, so other scales differ
    one_more = read(data, image_size=(expected.shape[0] + 1, expected.shape[1]), color_mode=color_mode)
    at_next_scale = opened_at(data, denominator // 2, color_mode)
    nearest = np.empty_like(one_more)
    resize_into(at_next_scale, nearest, "nearest")
    np.testing.assert_array_equal(one_more, nearest)


@pytest.mark.parametrize("size", [(1201, 1607), (1200, 1600)])
def test_scaled_jpeg_is_close_to_the_full_scale(read, size):
    data = encoded(card(*size), quality=95)
    same_at_full_scale = encoded(Image.fromarray(opened(data)), "png")
    for how in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
        options = {"image_size": (100, 150), "interpolation": "bilinear", **how}
        # The image changes by at most two levels per pixel, so a shift of up to two pixels is accepted.
        assert largest_difference(read(data, **options), read(same_at_full_scale, **options)) <= 5


def test_padded_jpeg_is_decoded_at_a_smaller_scale(read):
    data = encoded(Image.fromarray(noise(80, 800)))
    pixels = read(data, image_size=(100, 100), pad_to_aspect_ratio=True)
    assert not pixels[:45].any()
    assert not pixels[55:].any()
    np.testing.assert_array_equal(pixels[45:55], opened_at(data, 8, "rgb"))


def test_padded_box_does_not_depend_on_the_scale(read):
    picture = Image.new("L", (800, 403), 255)
    for format in ("jpeg", "png"):
        padded = read(encoded(picture, format), image_size=(100, 100), pad_to_aspect_ratio=True)
        assert np.flatnonzero(padded.any(axis=(1, 2))).tolist() == list(range(24, 74)), format


@pytest.mark.parametrize(
    ("how", "interpolation", "format"),
    [
        ({}, "bilinear", "png"),
        ({}, "area", "gif"),
        ({"crop_to_aspect_ratio": True}, "bilinear", "jpeg"),
        ({"pad_to_aspect_ratio": True}, "bilinear", "png"),
        ({"pad_to_aspect_ratio": True}, "area", "jpeg"),
    ],
    ids=str,
)
def test_extreme_aspect_ratios(read, how, interpolation, format):
    for size in ((1, 1), (1, 5000), (5000, 1)):
        pixels = read(
            encoded(Image.new("L", size, 200), format), image_size=(32, 48), interpolation=interpolation, **how
        )
        shown = pixels[pixels > 0] if how.get("pad_to_aspect_ratio") else pixels
        assert shown.size > 0
        assert np.abs(shown.astype(int) - 200).max() <= 1


def truncated(data, count):
    """`count` prefixes of a file, of increasing length, up to seven eighths of it."""
    return [data[:size] for size in np.linspace(1, len(data) * 7 // 8, count, dtype=int)]


@pytest.mark.parametrize(
    ("kind", "decoder"),
    [(kind, decoder) for kind, decoder in KINDS_AND_DECODERS if kind != "JPEG in a TIFF"],  # libtiff prints a warning
    indirect=["decoder"],
)
@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_truncated_file_raises_without_output(read, kind, capfd):
    for data in truncated(FILES[kind], 20):
        with pytest.raises(SampleError):
            read(data)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("kind", "decoder"), KINDS_AND_DECODERS, indirect=["decoder"])
@pytest.mark.filterwarnings("ignore:Truncated File Read")  # from Pillow, for a TIFF without its directory
def test_file_without_its_last_bytes_raises_or_is_unchanged(read, kind):
    whole = read(FILES[kind])
    for missing in (1, 2, 3, 4, 6, 8, 12, 16, 20, 29):
        try:
            pixels = read(FILES[kind][:-missing])
        except SampleError:
            continue
        np.testing.assert_array_equal(pixels, whole)


def test_truncated_jpeg_with_a_complete_thumbnail_raises(read):
    thumbnail = with_segment(FILES["JPEG"], 0xE2, b"preview" + encoded(card(10, 14)))
    with pytest.raises(SampleError, match=r"^truncated: "):
        read(thumbnail[: len(thumbnail) * 3 // 4])
    large = encoded(Image.fromarray(noise(300, 400)))
    with pytest.raises(SampleError, match=r"^truncated: ") as raised:
        read(large[: len(large) // 2])
    assert raised.value.__cause__ is not None
    assert "image.jpg" not in str(raised.value)  # the caller adds the filename


def test_jpeg_without_end_marker_is_not_decoded_by_opencv(read, monkeypatch):
    monkeypatch.setattr(jpeg_module, "opencv_pixels", lambda *_: np.zeros((40, 56, 3), "uint8"))
    for size in (len(FILES["JPEG"]) - 2, len(FILES["JPEG"]) // 2):
        with pytest.raises(SampleError, match=r"^truncated: "):
            read(FILES["JPEG"][:size])


def test_memory_error_is_not_a_sample_error(read, monkeypatch):
    def run_out(*_):
        raise MemoryError

    monkeypatch.setattr(decode_module, "pillow_pixels", run_out)
    with pytest.raises(MemoryError):
        read(FILES["GIF"])


def test_load_truncated_images_of_pillow_is_respected(read, monkeypatch):
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
        (b"P5 2 2 255 abc", "not an image|truncated"),
        (b"P8 2 2 255 abcd", "not an image"),
    ],
)
def test_other_files_raise(read, data, words):
    with pytest.raises(SampleError, match=words):
        read(data)


def test_damaged_png_raises_the_message_of_pillow(read):
    data = bytearray(FILES["RGB PNG"])
    data[len(data) // 2] ^= 255
    with pytest.raises(SampleError, match="not an image that can be decoded: "):
        read(bytes(data))


@pytest.mark.parametrize(
    ("kind", "decoder"),
    [
        (kind, decoder)
        for kind, decoder in KINDS_AND_DECODERS
        if kind in ("JPEG", "CMYK JPEG", "RGB PNG", "palette PNG", "BMP", "GIF", "WebP", "TIFF")
    ],
    indirect=["decoder"],
)
def test_decompression_bomb_raises_before_decoding(read, kind, monkeypatch):
    monkeypatch.setattr(decode_module, "pillow_pixels", None)
    monkeypatch.setattr(jpeg_module, "pillow_pixels", None)
    for limit in (40 * 56 - 1, 40 * 56 // 2 - 1):  # Pillow itself warns about the first and raises for the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(SampleError, match=r"PIL\.Image\.MAX_IMAGE_PIXELS.* decompression bomb") as raised:
                read(FILES[kind])
        if kind not in ("GIF", "WebP"):  # Pillow checks the size of these two when it opens them
            assert f"of 56x40 pixels, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}" in str(raised.value)


def test_max_image_pixels_can_be_raised(read, monkeypatch):
    for limit in (40 * 56, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(read(FILES["RGB PNG"]), np.asarray(card()))
