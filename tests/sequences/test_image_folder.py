"""ImageFolderSequence: class folders, manifests and filenames, and the formats of images and labels."""

import re
import sys

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.files import FileContract, SingleFileContract
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.passes import PassContract
from drawing import SIZE, draw, numbers_in
from PIL import Image

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError, SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences import ImageFolderSequence, open_packed


class TestClassFolders(FileContract):
    """PNGs in class folders. Image i is the i-th on disk."""

    def prepare(self, folder):
        for number, label in enumerate(LABELS):
            draw(folder / CLASS_NAMES[label] / f"{number}.png", number)

    def open(self, folder, **options):
        return ImageFolderSequence(folder, **{"image_size": SIZE, **options})

    def numbers(self, x):
        return numbers_in(x)

    def test_class_names_are_the_names_of_the_folders(self, make):
        assert make().class_names == CLASS_NAMES
        assert make(class_names=["cat", "ant", "bee"]).labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
        assert make(class_names=["cat", "ant"]).num_samples == 7


class TestFilenames(SingleFileContract, PassContract):
    """JPEGs in one folder, with filenames and labels of the user."""

    def prepare(self, folder):
        for number in range(NUM_SAMPLES):
            draw(folder / f"{number}.jpg", number, mode="L")

    def open(self, folder, **options):
        filenames = np.array([f"{number}.jpg" for number in range(NUM_SAMPLES)])
        return ImageFolderSequence(
            filenames,
            **{"labels": LABELS, "directory": folder, "image_size": SIZE, "color_mode": "grayscale", **options},
        )

    def numbers(self, x):
        return numbers_in(x)


@pytest.fixture
def folder(tmp_path):
    TestClassFolders().prepare(tmp_path / "photos")
    return tmp_path / "photos"


def opened(data, **options):
    return ImageFolderSequence(data, **{"image_size": SIZE, "batch_size": 4, "shuffle": False, **options})


def test_data_is_a_directory_a_manifest_or_filenames(folder, tmp_path, monkeypatch):
    manifest = Manifest.from_directory(folder)
    manifest.save(tmp_path / "saved")
    names, labels = tmp_path / "saved/filenames.npy", str(tmp_path / "saved/labels.npy")
    monkeypatch.chdir(tmp_path)
    for sequence in (
        opened(folder),
        opened("photos"),
        opened(manifest),
        opened(Manifest.load(tmp_path / "saved")),
        opened(names, labels=labels, directory=folder),
        opened(str(names), labels=np.load(labels), directory="photos"),
        opened(manifest.filenames.tolist(), labels=LABELS, directory="photos"),
        opened(manifest.file_paths, labels=[CLASS_NAMES[label] for label in LABELS], directory=None),
    ):
        assert [(numbers_in(x), y.tolist()) for x, y in sequence] == [
            ([0, 1, 2, 3], [0, 0, 0, 0]),
            ([4, 5, 6, 7], [1, 1, 1, 2]),
            ([8, 9], [2, 2]),
        ]
        assert [path.rpartition("photos/")[2] for path in sequence.file_paths] == manifest.filenames.tolist()


@pytest.mark.parametrize(("color_mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first", None])
def test_color_mode_and_data_format(folder, color_mode, channels, data_format):
    x, _ = opened(folder, color_mode=color_mode, data_format=data_format)[1]

    assert x.dtype == np.uint8
    assert x.shape == ((4, channels, *SIZE) if data_format == "channels_first" else (4, *SIZE, channels))
    first = x if data_format == "channels_first" else np.moveaxis(x, -1, 1)
    assert numbers_in(first[:, :3]) == [4, 5, 6, 7]
    assert (first[:, 3:] == 255).all()
    assert x.flags.c_contiguous


def test_default_data_format_is_that_of_keras(folder):
    keras.config.set_image_data_format("channels_first")
    try:
        x, _ = opened(folder)[0]
        assert x.shape == (4, 3, *SIZE)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(("image_size", "shape"), [((7, 3), (7, 3)), (6, (6, 6)), ([2, 9], (2, 9))])
def test_image_size(folder, image_size, shape):
    x, _ = opened(folder, image_size=image_size)[0]

    assert x.shape == (4, *shape, 3)
    assert numbers_in(x) == [0, 1, 2, 3]


def test_crop_and_pad_to_aspect_ratio(tmp_path):
    wide = np.zeros((4, 8, 3), "uint8")
    wide[:, 2:6] = 200  # the middle half
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a/wide.png")
    options = dict(image_size=(4, 4), interpolation="nearest", labels=None)

    assert (opened(tmp_path, crop_to_aspect_ratio=True, **options)[0] == 200).all()
    padded = opened(tmp_path, pad_to_aspect_ratio=True, **options)[0]
    assert padded[0, :, :, 0].tolist() == [[0] * 4, [0, 200, 200, 0], [0, 200, 200, 0], [0] * 4]


def test_label_mode_binary(folder):
    x, y = opened(folder, label_mode="binary", class_names=["bee", "cat"], batch_size=6)[0]

    assert y.tolist() == [[0.0]] * 3 + [[1.0]] * 3
    assert y.dtype == np.float32
    assert numbers_in(x) == [4, 5, 6, 7, 8, 9]


def test_one_class(tmp_path):
    draw(tmp_path / "only/1.png", 1)

    assert opened(tmp_path)[0][1].tolist() == [0]
    assert opened(tmp_path, label_mode="categorical")[0][1].tolist() == [[1.0]]
    with pytest.raises(
        OptionError, match=r'`label_mode="binary"` requires exactly 2 classes. Received: 1 classes \[\'only\'\]'
    ):
        opened(tmp_path, label_mode="binary")


@pytest.mark.parametrize(
    "name",
    ["with space.png", "ümläut.png", "鳥.png", "🐦.png", "new\nline.png", "quote'.png", "%s {x}.png", "UPPER.PNG"],
)
def test_unusual_filenames(tmp_path, name):
    draw(tmp_path / "a" / name, 3)
    sequence = opened(tmp_path)

    assert numbers_in(sequence[0][0]) == [3]
    assert sequence.filenames(0) == [f"a/{name}"]
    (tmp_path / "a" / name).write_bytes(b"not an image")
    with pytest.raises(SampleError, match=re.escape(repr(str(tmp_path / "a" / name)))):
        sequence[0]


def test_empty_and_truncated_files_have_different_errors(folder):
    paths = opened(folder).file_paths
    whole = (folder / "ant/1.png").read_bytes()
    (folder / "ant/1.png").write_bytes(b"")
    with pytest.raises(SampleError, match=rf"sample 1, {re.escape(repr(paths[1]))}: empty file\. Fix or remove it"):
        opened(folder)[0]
    (folder / "ant/1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SampleError, match=rf"sample 1, {re.escape(repr(paths[1]))}: .*(truncated|broken)"):
        opened(folder)[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            dict(image_size=0),
            OptionError,
            r"`image_size` should be \(height, width\), two positive integers.*image_size=0",
        ),
        (dict(image_size=(0, 8)), OptionError, r"two positive integers.*\(0, 8\)"),
        (dict(image_size=(8, -1)), OptionError, r"two positive integers.*\(8, -1\)"),
        (dict(image_size=(8, 8, 3)), OptionError, r"two positive integers.*\(8, 8, 3\)"),
        (dict(image_size="8x8"), OptionError, r"two positive integers.*8x8"),
        (dict(color_mode="bgr"), OptionError, "`color_mode` should be one of"),
        (dict(interpolation="linear"), OptionError, "`interpolation` should be one of"),
        (dict(data_format="NHWC"), OptionError, "`data_format` should be one of"),
        (dict(crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), OptionError, "Only one of `crop_to_aspect_ratio`"),
        (dict(class_names=["ant", "dog"]), DataError, "`class_names` have no folder .*'dog'"),
        (dict(class_names="ant"), OptionError, "`class_names` should be a list of strings"),
        (dict(class_names=["ant", "ant"]), OptionError, "should contain each class once"),
        (dict(labels=["ant"] * 9 + ["cow"], class_names=["ant"]), DataError, "Unknown class 'cow' of sample 9"),
        (dict(labels="labels.csv"), OptionError, '`labels` should be "inferred", None, an array, or a .npy file'),
        (dict(directory="elsewhere"), OptionError, "`directory` is for file names"),
        (dict(label_mode="raw", class_weight="balanced"), OptionError, "`class_weight` requires class labels"),
    ],
)
def test_invalid_options_are_errors(folder, options, error, message):
    with pytest.raises(error, match=message):
        opened(folder, **options)


def test_directories_without_images_are_errors(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"Directory '.*photoz' does not exist\. Did you mean 'photos'\?"):
        opened(tmp_path / "photoz")
    with pytest.raises(DataError, match=r"Directory '.*photos' is empty"):
        opened(tmp_path / "photos")
    (tmp_path / "photos/ant").mkdir()
    (tmp_path / "photos/ant/notes.txt").touch()
    with pytest.raises(DataError, match=r"No files ending in .avif.*1 .txt"):
        opened(tmp_path / "photos")
    with pytest.raises(DataError, match=r"'.*notes.txt' is a file, but it should be a directory"):
        opened(tmp_path / "photos/ant/notes.txt")
    draw(tmp_path / "photos/loose.png", 1)
    (tmp_path / "photos/ant/notes.txt").unlink()
    (tmp_path / "photos/ant").rmdir()
    with pytest.raises(DataError, match=r"contains 1 file but no class folders. .*or pass labels=None"):
        opened(tmp_path / "photos")
    assert numbers_in(opened(tmp_path / "photos", labels=None)[0]) == [1]


def test_repr(folder):
    assert repr(opened(folder, shuffle=True, seed=3, workers=2)) == (
        "<ImageFolderSequence: 10 samples, 3 classes\n"
        "  3 batches of 4, shuffled, seed=3\n"
        "  x uint8 (4, 4, 5, 3), y int32 (4,)\n"
        f"  from {str(folder)!r}\n"
        "  2 threads, 10 batches ahead, at most 2.9 kB in flight>"
    )


# show_batch


def titles_and_pixels(figure):
    return [(axis.get_title(), axis.images[0].get_array()) for axis in figure.axes if axis.images]


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (dict(), ["bee", "bee", "bee", "cat"]),
        (dict(label_mode="categorical", rescale=1 / 255), ["bee", "bee", "bee", "cat"]),
        (dict(label_mode=None, data_format="channels_first"), ["", "", "", ""]),
        (dict(label_mode="raw", labels=np.arange(10) / 4), ["1.0", "1.25", "1.5", "1.75"]),
        (dict(class_weight="balanced", color_mode="grayscale"), ["bee", "bee", "bee", "cat"]),
    ],
)
def test_show_batch_draws_images_with_labels(folder, tmp_path, options, titles):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    figure = opened(folder, **options).show_batch(1, path=tmp_path / "batch.png")

    assert [title for title, _ in titles_and_pixels(figure)] == titles
    scale = 255 if "rescale" in options else 1
    assert [round(float(pixels[0, 0].max() * scale)) for _, pixels in titles_and_pixels(figure)] == [40, 50, 60, 70]
    with Image.open(tmp_path / "batch.png") as picture:
        assert picture.format == "PNG"


def test_show_batch_does_not_change_the_position(folder):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    sequence = opened(folder, shuffle=True, seed=1)
    given = []
    for x, _ in sequence:
        assert len(titles_and_pixels(sequence.show_batch(num_images=3))) == 3
        given.append(numbers_in(x))

    assert given == [inside.planned(sequence, 0, position) for position in range(3)]


def test_show_batch_without_matplotlib_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtraError, match=r'pip install "keras_oocore\[plots\]"'):
        opened(folder).show_batch()


# Models


@pytest.mark.backend
def test_uint8_images_in_a_functional_model(folder):
    """Functional models cast `uint8` on the device, and the values do not change."""
    inputs = keras.Input((*SIZE, 3))
    model = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(inputs))
    predicted = model.predict(opened(folder), verbose=0)

    assert predicted[:, 0].tolist() == [10.0 * number for number in range(NUM_SAMPLES)]


@pytest.mark.backend
def test_dtype_for_a_subclassed_model(folder):
    class Convolution(keras.Model):
        def __init__(self):
            super().__init__()
            self.convolution = keras.layers.Conv2D(1, SIZE, kernel_initializer="ones")

        def call(self, x):
            return self.convolution(x)

    predicted = Convolution().predict(opened(folder, dtype="float32"), verbose=0)

    np.testing.assert_allclose(predicted.ravel(), [10 * number * 4 * 5 * 3 for number in range(NUM_SAMPLES)])


@pytest.fixture
def wide_folder(tmp_path):
    """Images of 16 bits, and one of 8 bits."""
    for number in range(4):
        path = tmp_path / "wide" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = Image.fromarray(np.full((4, 5), 10_000 * number + 3, "uint16"))
        (Image.new("L", (5, 4), 7) if number == 3 else wide).save(path)
    return tmp_path / "wide"


def values(folder, **options):
    x, _ = ImageFolderSequence(folder, image_size=(4, 5), shuffle=False, **options)[0]
    return x.dtype, x[:, 0, 0, 0].tolist()


def test_uint16_and_float_images_keep_16_bits(wide_folder, tmp_path):
    wide = [3, 20_003, 10_003, 7 * 257]
    assert values(wide_folder, dtype="uint16") == (np.uint16, wide)
    fractions = (np.array(wide, "float32") / np.float32(257)).tolist()
    assert fractions[3] == 7
    assert values(wide_folder, dtype="float32") == (np.float32, fractions)
    cache = tmp_path / "cache"
    for _ in range(2):
        assert values(wide_folder, dtype="float32", cache=cache) == (np.float32, fractions)
    dtype, rescaled = values(wide_folder, rescale=1 / 255)
    assert dtype == np.float32
    np.testing.assert_allclose(rescaled, np.array(fractions) / 255, rtol=1e-6)
    with pytest.raises(DataError, match="dtype of x was 'float32', is 'uint16'"):
        values(wide_folder, dtype="uint16", cache=cache)


def test_packed_images_of_16_bits_keep_their_range_with_any_dtype(wide_folder, tmp_path):
    """What the page of `open_packed` says."""
    wide = [3, 20_003, 10_003, 7 * 257]
    images = ImageFolderSequence(wide_folder, image_size=(4, 5), shuffle=False, dtype="uint16")
    packed = images.pack(tmp_path / "packed")
    for options, expected in ({"dtype": "float32"}, wide), ({"rescale": 1 / 257}, np.array(wide) / 257):
        x, _ = open_packed(packed, shuffle=False, **options)[0]
        assert x.dtype == np.float32
        np.testing.assert_allclose(x[:, 0, 0, 0], expected, rtol=1e-6)


def test_few_images_of_16_bits_among_many_of_8_become_8_bits_with_a_warning(tmp_path):
    """The headers of a few files decide for `float32`, as the page says; others are not cut without a word."""
    for number in range(20):
        path = tmp_path / "mixed" / "a" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = Image.fromarray(np.full((4, 5), 10_003, "uint16"))
        (wide if number == 1 else Image.new("L", (5, 4), 7)).save(path)
    with pytest.warns(UserWarning, match=r"01\.png' has more than 8 bits per channel"):
        dtype, levels = values(tmp_path / "mixed", dtype="float32")
    assert (dtype, levels[:3]) == (np.float32, [7, 39, 7])


def test_uint8_images_of_16_bits_warn_once(wide_folder):
    with pytest.warns(UserWarning, match="has more than 8 bits per channel") as warned:
        assert values(wide_folder, workers=0) == (np.uint8, [0, 78, 39, 7])
    assert len(warned) == 1


def test_float_images_of_8_bits_are_cached_as_uint8(folder, tmp_path):
    cached = opened(folder, dtype="float32", cache=tmp_path / "cache")
    list(cached)
    cached.close()
    assert np.load(tmp_path / "cache" / "x.npy", mmap_mode="r").dtype == np.uint8
