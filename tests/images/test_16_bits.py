"""Images of 16 bits per channel: all bits with `uint16`, fractions with `float32`, the upper 8 bits with `uint8`."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from image_files import FILES, card, encoded, orientation_exif, png, tiff
from PIL import Image

from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.images.depth import any_has_16_bits
from keras_oocore.images.reader import ImageReader
from keras_oocore.images.resize import resize_into

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of the color types of a PNG
MODES = {0: "grayscale", 2: "rgb", 4: "rgba", 6: "rgba"}


def levels(*shape):
    return np.random.default_rng(0).integers(0, 65536, shape, dtype="uint16")


def in_full(samples, color_type):
    if color_type == 4:  # gray and alpha
        return np.concatenate([samples[..., :1]] * 3 + [samples[..., 1:]], axis=-1)
    return samples


@pytest.mark.parametrize("color_type", CHANNELS)
@pytest.mark.parametrize("interlaced", [False, True])
def test_uint16_and_float32_keep_16_bits_of_a_png(read, color_type, interlaced):
    samples = levels(40, 56, CHANNELS[color_type])
    data, color_mode = png(samples, color_type, interlaced), MODES[color_type]
    expected = in_full(samples, color_type)
    np.testing.assert_array_equal(read(data, color_mode=color_mode, dtype="uint16"), expected)
    fractions = read(data, color_mode=color_mode, dtype="float32")
    np.testing.assert_array_equal(fractions, expected / np.float32(257))


def test_16_bit_gray_is_read_in_every_color_mode(read):
    samples = levels(40, 56, 1)
    data = png(samples, 0)
    np.testing.assert_array_equal(read(data, dtype="uint16"), np.repeat(samples, 3, axis=-1))
    rgba = read(data, color_mode="rgba", dtype="uint16")
    np.testing.assert_array_equal(rgba, np.dstack([samples, samples, samples, np.full_like(samples, 65535)]))


def test_16_bit_color_in_gray_is_that_of_8_bits_with_fractions(read):
    samples = levels(40, 56, 3)
    gray = read(png(samples, 2), color_mode="grayscale", dtype="float32")[..., 0]
    expected = np.asarray(Image.fromarray((samples >> 8).astype("uint8")).convert("L"))
    assert np.abs(gray - expected).max() <= 1.5
    np.testing.assert_allclose(gray, samples / 257 @ [0.299, 0.587, 0.114], atol=0.01)


@pytest.mark.parametrize(
    ("extension", "params"), [("tiff", ()), ("tiff", (259, 1)), ("tiff", (259, 8)), ("ppm", ()), ("png", ())], ids=str
)
def test_16_bit_color_of_other_formats(tmp_path, extension, params):
    cv2 = pytest.importorskip("cv2")
    samples, path = levels(40, 56, 3), tmp_path / f"image.{extension}"
    cv2.imwrite(str(path), samples[..., ::-1], params)
    out = np.empty((40, 56, 3), "uint16")
    ImageReader((40, 56), dtype="uint16").read_into(path, out)
    np.testing.assert_array_equal(out, samples)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_with_a_plane_per_channel(read, channels, order):
    """Pillow reads the planes as if they had 8 bits."""
    samples, options = levels(40, 56, channels), {"color_mode": {3: "rgb", 4: "rgba"}[channels]}
    for separate in (False, True):
        data = tiff(samples, separate=separate, order=order)
        np.testing.assert_array_equal(read(data, dtype="uint16", **options), samples)
        with pytest.warns(UserWarning, match='pass dtype="uint16"'):
            np.testing.assert_array_equal(read(data, **options), samples >> 8)


def test_8_bit_tiff_with_a_plane_per_channel(read):
    samples = levels(40, 56, 3).astype("uint8")
    np.testing.assert_array_equal(read(tiff(samples, 8, separate=True)), samples)


def test_tiff_with_a_plane_per_channel_that_is_not_rgb_is_an_error(read):
    with pytest.raises(SampleError, match="a plane per channel, and not RGB of 8 or 16 bits: interleave them"):
        read(tiff(levels(40, 56, 4), separate=True, photometric=5))


def test_12_bit_tiff_has_the_whole_range(read):
    samples = levels(40, 55, 1) >> 4
    samples[0, 0], samples[0, 1] = 0, 4095
    data, options = tiff(samples, 12), {"image_size": (40, 55), "color_mode": "grayscale"}
    wide = read(data, dtype="uint16", **options)
    np.testing.assert_allclose(wide / 65535, samples / 4095, atol=1e-4)
    assert (wide[0, 0], wide[0, 1]) == (0, 65535)
    with pytest.warns(UserWarning, match="more than 8 bits"):
        np.testing.assert_array_equal(read(data, **options), samples >> 4)


def test_16_bit_color_in_jpeg_2000_is_an_error(read):
    """Pillow turns 65535 into 0."""
    cv2 = pytest.importorskip("cv2")
    samples = levels(64, 64, 3)
    wide, narrow = (cv2.imencode(".jp2", pixels)[1].tobytes() for pixels in (samples, samples.astype("uint8")))
    with pytest.raises(SampleError, match="a color image of 16 bits per channel in JPEG 2000"):
        read(wide)
    assert read(narrow).any()


def test_16_bit_gray_in_jpeg_2000_keeps_all_bits(read):
    samples = levels(64, 64, 1)
    data = encoded(Image.fromarray(samples[..., 0]), "jpeg2000")
    options = {"image_size": (64, 64), "color_mode": "grayscale"}
    np.testing.assert_array_equal(read(data, dtype="uint16", **options), samples)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_16_bit_cmyk_becomes_8_bits_with_a_warning(read, dtype):
    data = tiff(levels(40, 56, 4), photometric=5)
    with pytest.warns(UserWarning, match="upper 8 are kept.* save the image in RGB, as PNG or as TIFF with inter"):
        pixels = read(data, dtype=dtype)
    narrow = tiff((levels(40, 56, 4) >> 8).astype("uint8"), 8, photometric=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(pixels, read(narrow, dtype=dtype))


def test_16_bit_portable_graymap(read):
    samples = levels(40, 56, 1)
    data = b"P5 56 40 65535\n" + samples.astype(">u2").tobytes()
    np.testing.assert_array_equal(read(data, color_mode="grayscale", dtype="uint16"), samples)


def test_16_bit_orientation_is_applied(read):
    samples = levels(40, 56, 3)
    data = png(samples, 2)
    exif = encoded(card(), "png", exif=orientation_exif(6))
    at = exif.index(b"eXIf") - 4
    (length,) = np.frombuffer(exif[at : at + 4], ">u4")
    data = data[:33] + exif[at : at + 12 + length] + data[33:]
    np.testing.assert_array_equal(read(data, image_size=(56, 40), dtype="uint16"), np.rot90(samples, -1))


@pytest.mark.parametrize("kind", ["JPEG", "RGB PNG", "palette PNG", "GIF", "WebP"])
@pytest.mark.parametrize("options", [{}, {"image_size": (20, 30), "interpolation": "bilinear"}], ids=str)
def test_8_bit_images_are_multiplied_by_257_or_have_whole_floats(read, kind, options):
    for how in ({}, {"pad_to_aspect_ratio": True}, {"crop_to_aspect_ratio": True}):
        expected = read(FILES[kind], **options, **how)
        wide = read(FILES[kind], dtype="uint16", **options, **how)
        np.testing.assert_array_equal(wide, expected.astype("uint16") * 257)
        np.testing.assert_array_equal(read(FILES[kind], dtype="float32", **options, **how), expected.astype("float32"))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "area", "lanczos3"])
def test_resized_16_bits_agree_with_8_bits(read, interpolation):
    smooth = np.asarray(card()).astype("uint16") * 257
    options = {"image_size": (25, 33), "interpolation": interpolation}
    narrow = read(encoded(card(), "png"), **options)
    assert np.abs(read(png(smooth, 2), dtype="float32", **options) - narrow).max() <= 1


def test_uint8_warns_once(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(levels(8, 8, 3), 2))
    reader, out = ImageReader(8), np.empty((8, 8, 3), "uint8")
    with pytest.warns(UserWarning, match=r'0\.png. has more than 8 bits per channel, of .* 8 .* pass dtype="uint16"'):
        reader.read_into(tmp_path / "0.png", out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in (1, 2, 0):
            reader.read_into(tmp_path / f"{number}.png", out)
        pickle.loads(pickle.dumps(ImageReader(8, dtype="uint16"))).read_into(tmp_path / "0.png", out.astype("uint16"))


def test_depth_of_a_few_files(tmp_path):
    files = {"16.png": png(levels(8, 8, 3), 2), "8.png": FILES["RGB PNG"], "16.jpg": FILES["JPEG"], "bad.tif": b"II*\0"}
    files["16.tiff"] = encoded(Image.fromarray(levels(8, 8)), "tiff")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = {name for name in [*files, "missing.png"] if any_has_16_bits([str(tmp_path / name)])}
    assert found == {"16.png", "16.tiff"}


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"])
def test_same_size_needs_no_memory_of_its_own(interpolation):
    pixels = np.full((500, 500, 3), 7, "uint8")
    out = np.empty_like(pixels)
    tracemalloc.start()
    resize_into(pixels, out, interpolation)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100_000
    assert (out == 7).all()


def test_invalid_dtype_raises():
    with pytest.raises(OptionError, match=r"`dtype` should be one of .* Received: dtype='int8'"):
        ImageReader(dtype="int8")
