"""`ImageReader`: its options, the result compared with Keras and between decoders, threads and errors."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from image_files import COLOR_MODES, card, encoded, largest_difference, noise, rounded
from needs_tensorflow import needs_tensorflow
from PIL import Image

from keras_oocore.core import storage
from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.images import codecs
from keras_oocore.images.reader import ImageReader
from keras_oocore.images.resize import INTERPOLATIONS
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS


def test_image_extensions_are_sorted_and_lower_case():
    assert sorted({extension.lower() for extension in IMAGE_EXTENSIONS}) == list(IMAGE_EXTENSIONS)
    assert all(extension.startswith(".") for extension in IMAGE_EXTENSIONS)


def test_resize_does_not_mix_alpha_and_color(read):
    clear = np.dstack([noise(40, 56), np.zeros((40, 56), "uint8")])
    options = {"image_size": (9, 13), "interpolation": "bilinear"}
    pixels = read(encoded(Image.fromarray(clear), "png"), color_mode="rgba", **options)
    opaque = read(encoded(Image.fromarray(clear[..., :3]), "png"), **options)
    np.testing.assert_array_equal(pixels[..., :3], opaque)


@pytest.mark.backend
@needs_tensorflow
def test_reader_interpolation_is_close_to_tensorflow(read):
    import tensorflow as tf

    pixels = noise(150, 130)
    for interpolation in INTERPOLATIONS:
        for size in ((80, 80), (224, 200), (75, 65)):
            out = read(encoded(Image.fromarray(pixels), "png"), image_size=size, interpolation=interpolation)
            assert largest_difference(out, rounded(tf.image.resize(pixels, size, method=interpolation))) <= 1


def test_crop_and_pad_to_aspect_ratio(read):
    thirds = Image.fromarray(np.repeat(np.array([[10, 20, 30]], "uint8"), 30, axis=1).repeat(30, axis=0))
    data = encoded(thirds, "png")
    cropped = read(data, image_size=(6, 6), crop_to_aspect_ratio=True, color_mode="grayscale")
    assert (cropped == 20).all()
    padded = read(data, image_size=(9, 9), pad_to_aspect_ratio=True, color_mode="grayscale")
    assert not padded[:3].any()
    assert not padded[6:].any()
    assert padded[4, :, 0].tolist() == [10] * 3 + [20] * 3 + [30] * 3


@pytest.mark.backend
@needs_tensorflow
@pytest.mark.parametrize(
    ("interpolation", "how", "decoder"),
    [
        ("bilinear", "stretch", "fast"),
        ("bilinear", "stretch", "pillow"),
        ("bilinear", "crop_to_aspect_ratio", "fast"),
        ("bilinear", "crop_to_aspect_ratio", "pillow"),
        ("bilinear", "pad_to_aspect_ratio", "fast"),
        ("bilinear", "pad_to_aspect_ratio", "pillow"),
        ("nearest", "stretch", "opencv"),
        ("bicubic", "crop_to_aspect_ratio", "opencv"),
        ("area", "pad_to_aspect_ratio", "opencv"),
        ("lanczos3", "stretch", "opencv"),
    ],
    indirect=["decoder"],
)
def test_result_equals_image_dataset_from_directory(decoder, tmp_path, how, interpolation):
    import keras

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


def read_both_ways(reader, path, monkeypatch):
    """The pixels with the extra `fast` and with Pillow alone."""
    pytest.importorskip("cv2")
    results = []
    for available in (True, False):
        with monkeypatch.context() as patch:
            for name in () if available else ("cv2", "spng_decode", "simplejpeg"):
                patch.setattr(codecs, name, None)
            out = np.empty(reader.shape, "uint8")
            reader.read_into(path, out)
            results.append(out)
    return results


@pytest.mark.parametrize("color_mode", COLOR_MODES)
def test_opencv_and_pillow_differ_by_at_most_one_on_noise(tmp_path, monkeypatch, color_mode):
    for index, size in enumerate([(150, 130), (333, 500), (64, 64), (448, 450)]):
        for format in ("jpeg", "png"):
            path = tmp_path / f"{index}.{format}"
            Image.fromarray(noise(*size)).save(path)
            for options in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
                one, other = read_both_ways(ImageReader((64, 80), color_mode, **options), path, monkeypatch)
                assert largest_difference(one, other) <= 1


def test_opencv_and_pillow_differ_by_at_most_one_on_photographs(monkeypatch):
    data = Path(os.environ.get("KERAS_OOCORE_DATA", Path(__file__).parents[3] / "shared" / "data"))
    paths = sorted((data / "photos").glob("*"))[::10] + sorted((data / "plant_seedlings").glob("*/*"))[::100]
    if not paths:
        pytest.skip(f"There are no photographs in {data}. Set KERAS_OOCORE_DATA to their folder.")
    for path in paths:
        for reader in (ImageReader((224, 224)), ImageReader((80, 80)), ImageReader((80, 80), "grayscale")):
            one, other = read_both_ways(reader, path, monkeypatch)
            assert largest_difference(one, other) <= 1, path


def test_unreadable_file_raises(decoder, tmp_path, monkeypatch):
    reader = ImageReader((8, 8))
    out = np.empty(reader.shape, "uint8")
    with pytest.raises(SampleError, match=r"^file not found$"):
        reader.read_into(str(tmp_path / "missing.png"), out)
    with pytest.raises(SampleError, match=r"directory|permission denied"):
        reader.read_into(str(tmp_path), out)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage, "open_file", refuse)
    with pytest.raises(SampleError, match=r"^permission denied$"):
        reader.read_into(str(tmp_path / "secret.png"), out)


@pytest.mark.parametrize(
    ("color_mode", "interpolation", "padded"),
    [("grayscale", "bilinear", False), ("rgb", "bilinear", True), ("rgb", "nearest", True), ("rgba", "bicubic", False)],
)
def test_read_into_writes_exactly_one_row(decoder, tmp_path, color_mode, interpolation, padded):
    card(100, 300).save(tmp_path / "a.png")
    reader = ImageReader((24, 32), color_mode, interpolation, pad_to_aspect_ratio=padded)
    batches = [np.full((3, *reader.shape), filler, "uint8") for filler in (7, 99)]
    for batch in batches:
        reader.read_into(str(tmp_path / "a.png"), batch[1])
        assert (batch[[0, 2]] == batch[0, 0, 0, 0]).all()
    np.testing.assert_array_equal(batches[0][1], batches[1][1])  # the result does not depend on the previous content


def test_shared_between_threads_and_pickled(decoder, tmp_path):
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


def test_invalid_out_raises(decoder, tmp_path):
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


def test_defaults():
    reader = ImageReader()
    assert (reader.shape, reader.dtype) == ((256, 256, 3), np.uint8)
    assert (reader.color_mode, reader.interpolation) == ("rgb", "bilinear")
    assert ImageReader(64, "rgba").shape == (64, 64, 4)
    assert ImageReader((np.int64(5), 7), "grayscale").shape == (5, 7, 1)


@pytest.mark.parametrize(
    "image_size", [0, -1, (0, 5), (5, -5), (5,), (5, 6, 7), (5.5, 6), 80.0, "80x80", None, True, "ab"]
)
def test_invalid_image_size_raises(image_size):
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
def test_invalid_option_raises_with_the_valid_ones(options, words):
    with pytest.raises(OptionError, match=words):
        ImageReader(**options)
