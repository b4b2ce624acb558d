"""Images of 16 bits per channel: all bits with `uint16`, fractions with `float32`, the upper 8 bits with `uint8`."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from image_files import FILES, card, encoded, orientation_exif, png
from PIL import Image

from keras_oocore.core.errors import OptionError
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
    with pytest.warns(UserWarning, match=r"0\.png. has 16 bits per channel, of which the upper 8"):
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
