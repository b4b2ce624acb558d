"""Every file on disk of format 1, as version 0.1.0 wrote it, opens for ever, gives the same and is not made again.

`fixtures/make_format_1.py` wrote them. A test works on a copy. Before it opens a cache, what the cache was made of gets
other contents of the same size and time of change: who reads them, and not the cache, gets something else.
"""

import contextlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.images.measures import measures_of

sys.path.insert(0, str(Path(__file__).parent / "fixtures" / "format_1"))
import format_1_parts as parts

FIXTURES = Path(__file__).parent / "fixtures" / "format_1"
FIRST_DAY = 18_262  # of the table, in days since 1970
HOUSES = [  # sqft, city, zip, sold; means and codes are of all rows
    [1000, 2, 2, FIRST_DAY],
    [2000, 3, 2, FIRST_DAY + 1],  # sqft is missing, and the mean
    [1500, 6, 3, FIRST_DAY + 2],
    [2000, 2, 0, FIRST_DAY + 3],
    [2500, 5, 2, FIRST_DAY + 4],
    [3000, 3, 3, FIRST_DAY + 5],
    [1000, 2, 2, FIRST_DAY + 6],
    [1500, 2, 2, 18_267.36328125],  # the day is the mean, as float32 has it
    [2000, 0, 3, FIRST_DAY + 8],
    [2500, 3, 2, FIRST_DAY + 9],
    [3000, 4, 2, FIRST_DAY + 10],
    [2000, 2, 3, FIRST_DAY + 11],
]


@pytest.fixture
def copy_of(tmp_path):
    """Copies one of the fixtures, with the times of change that stores remember."""

    def copied(name):
        folder = shutil.copytree(FIXTURES / name, tmp_path / name)
        parts.set_times(folder)
        return folder

    return copied


@contextlib.contextmanager
def nothing_written(folder):
    """No file below a folder is made, changed, written again or removed."""
    before = files_below(folder)
    yield
    assert files_below(folder) == before


def files_below(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def replace(path, content):
    """Other contents, which no size and no time of change tells of."""
    assert len(content) == path.stat().st_size
    path.write_bytes(content)
    os.utime(path, ns=(parts.CHANGED_NS, parts.CHANGED_NS))


def other_table(text):
    """Of the same length, and with cells where there were some; of two columns of one name none could be read."""
    return re.sub(rb"[a-zA-Z]", b"z", re.sub(rb"[0-9]", b"7", text))


def other_bytes(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            replace(path, bytes(255 - byte for byte in path.read_bytes()))


def xs(batches):
    return np.concatenate([x for x, _ in batches]).tolist()


def ys(batches):
    return [y.tolist() for _, y in batches]


def raw_image(number):
    """What the reader makes of a file."""
    return (np.arange(12).reshape(2, 2, 3) + 20 * number + parts.BRIGHTER).tolist()


# --- manifests ------------------------------------------------------------------------------------------------------


def test_a_manifest_of_format_1_opens(copy_of):
    folder = copy_of("manifests")
    (folder / "photos").mkdir()  # git keeps no empty folders
    with nothing_written(folder):
        manifest = ko.Manifest.load(folder / "saved")
    assert manifest.filenames.tolist() == ["grüne Wiese/Blümchen 1.png", "grüne Wiese/花.png", "two words/a b.png"]
    assert (manifest.labels.dtype, manifest.labels.tolist()) == (np.int32, [0, 0, 1])
    assert manifest.class_names == ["grüne Wiese", "two words"]
    assert manifest.directory == (folder / "photos").resolve()  # found beside, wherever both lie


def test_a_manifest_of_format_1_with_features_opens(copy_of):
    folder = copy_of("manifest_with_features")
    (folder / "photos").mkdir()
    with nothing_written(folder):
        manifest = ko.Manifest.load(folder / "saved")
    assert manifest.feature_cols == ["age", "größe"]
    expected = np.array([[0.1, -2], [3, 16777216], [0.001, 0.25]], "float32")
    assert (manifest.features.dtype, manifest.features.tolist()) == (np.float32, expected.tolist())
    assert (manifest.class_names, manifest.labels.tolist()) == (["cat", "dog"], [0, 1, 1])
    path = folder / "saved" / "features.npy"
    replace(path, path.read_bytes()[:-4] + b"7777")
    with pytest.raises(ko.DataError, match=r"features\.npy"):
        ko.Manifest.load(folder / "saved")


def test_a_manifest_of_format_1_with_measured_labels_opens():
    manifest = ko.Manifest.load(FIXTURES / "manifests" / "measured")
    assert manifest.filenames.tolist() == ["a.npy", "b.npy"]
    assert (manifest.labels.dtype, manifest.labels.tolist()) == (np.float32, [[0.5, 1.5], [2.5, -1.0]])
    assert (manifest.class_names, manifest.directory) == (None, None)


def test_a_manifest_of_format_1_without_labels_opens():
    manifest = ko.Manifest.load(FIXTURES / "manifests" / "without_labels")
    assert manifest.filenames.tolist() == ["a.npy", "b.npy"]
    assert (manifest.labels, manifest.class_names, manifest.directory) == (None, None, None)


# --- CSV ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cached_houses(copy_of):
    folder = copy_of("csv_cache")
    replace(folder / "houses.csv", other_table((folder / "houses.csv").read_bytes()))
    with nothing_written(folder):
        yield folder


def test_a_cache_of_a_csv_file_of_format_1_opens(cached_houses):
    rows = parts.houses(cached_houses, cache=cached_houses / "cache", shuffle=False)
    assert rows.columns == ["sqft", "city", "zip", "sold", "price"]
    assert xs(rows) == HOUSES
    assert ys(rows) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


def test_a_cache_with_dates_in_seconds_is_refused(copy_of):
    folder = copy_of("csv_cache_of_seconds")
    rows = parts.houses(folder, cache=folder / "cache")
    with nothing_written(folder), pytest.raises(ko.DataError, match=r"is date %Y-%m-%d in days .*overwrite_cache"):
        list(rows)


def test_a_cache_of_a_csv_file_of_format_1_keeps_its_order(cached_houses):
    rows = parts.houses(cached_houses, cache=cached_houses / "cache")
    assert ys(rows) == [[11, 8, 4, 10, 7], [1, 5, 9, 0, 3], [2, 6]]
    assert ys(rows) == [[10, 4, 1, 2, 3], [6, 9, 5, 7, 8], [0, 11]]


def test_statistics_of_format_1_open(cached_houses):
    rows = parts.houses(cached_houses, cache=cached_houses / "cache")
    assert rows.vocabulary("city") == ["Rome", "Oslo", "Bonn", "Rome, old", "São Paulo"]
    assert rows.vocabulary("zip") == ["00123", "90210"]
    summary = str(rows.summary())
    assert re.search(r"sqft +float32 +2,000 +674.2 +1,000 +3,000 +1 +5$", summary, re.MULTILINE)
    assert re.search(r"sold +date +2020-01-06 08:43:38 +3.57447 days +2020-01-01 +2020-01-12 +1 +11$", summary, re.M)
    layer = rows.normalization()
    np.testing.assert_allclose(np.ravel(layer.mean)[:3], [2000, 0, 0])
    np.testing.assert_allclose(np.ravel(layer.variance)[:3], [674.1998624**2, 1, 1], rtol=1e-6)


@pytest.fixture
def split_houses(copy_of):
    folder = copy_of("csv_split")
    replace(folder / "houses.csv", other_table((folder / "houses.csv").read_bytes()))
    with nothing_written(folder):
        yield parts.split_houses(folder)


def test_a_cache_of_training_rows_of_format_1_opens(split_houses):
    train, _ = split_houses
    assert ys(train) == [[8, 11, 6, 3, 10], [2, 7, 5, 1]]
    assert train.vocabulary("city") == ["Rome", "Oslo", "Bonn", "São Paulo"]
    assert re.search(r"sqft +float32 +2,000 +661.438 +1,000 +3,000 +1 +4$", str(train.summary()), re.MULTILINE)


def test_a_cache_of_validation_rows_of_format_1_opens(split_houses):
    _, val = split_houses
    assert val.row_numbers.tolist() == [0, 4, 9]
    unseen = 1  # "Rome, old"
    assert xs(val) == [HOUSES[0], [2500, unseen, 2, FIRST_DAY + 4], HOUSES[9]]
    assert ys(val) == [[0, 4, 9]]
    assert val.vocabulary("city") == ["Rome", "Oslo", "Bonn", "São Paulo"]
    assert re.search(r"sqft +float32 +2,000 +707.107 +1,000 +2,500 +0 +2$", str(val.summary()), re.MULTILINE)


def test_an_index_beside_a_csv_file_of_format_1_is_used(copy_of):
    """Another header comes to light only when the file is gone through again."""
    folder = copy_of("csv_index")
    text = (folder / "people.csv").read_bytes()
    replace(folder / "people.csv", text.replace(b"name;height;age", b"NAME;HEIGHT;AGE"))
    with nothing_written(folder):
        with pytest.warns(UserWarning, match="1 row is left out"):
            rows = parts.people(folder)
        assert rows.columns == ["name", "height", "age"]
        ((x, y),) = rows
        np.testing.assert_array_equal(x, np.float32([[4, 1.75], [2, 1.8], [3, 1.65]]))
        assert y.tolist() == [30, 40, 60]
        assert rows.vocabulary("name") == ["Bob", "Dan\nthe second", "Müller; Anna"]


def test_features_of_format_1_open(copy_of, tmp_path):
    folder = copy_of("csv_features")
    (tmp_path / "new.csv").write_text("price,zip,sqft\n-,90210,1000\n1,123,\n")
    with nothing_written(folder):
        features = ko.load_features(folder / "features.json")
    assert features.class_names == ["Bonn", "Oslo", "Rome", "Rome, old", "São Paulo"]
    assert features.class_counts["Rome"] == 5
    assert (features.vocabulary("zip"), features.means) == (["00123", "90210"], {"sqft": 2000, "price": 5.5})
    np.testing.assert_allclose(np.ravel(features.normalization("numbers").variance)[0], 674.1998624**2, rtol=1e-6)
    for x in (
        features.like(tmp_path / "new.csv", target=None)[0],
        features.encode({"sqft": [1000, None], "zip": ["90210", "123"], "price": ["-", 1]}),
    ):
        assert x["numbers"].tolist() == [[1000, 5.5], [2000, 1]]
        assert (x["zip"].tolist(), x["zip"].dtype) == ([[3], [1]], np.int32)


def test_a_cache_of_a_gzip_file_of_format_1_opens(copy_of):
    folder = copy_of("csv_gzip")
    packed, text = folder / "numbers.csv.gz", folder / "cache" / "gunzipped" / "0-numbers.csv"
    replace(packed, packed.read_bytes()[:2] + bytes(packed.stat().st_size - 2))  # no gzip file that could be unpacked
    replace(text, other_table(text.read_bytes()))
    with nothing_written(folder):
        rows = parts.zipped_numbers(folder)
        assert rows.columns == ["x", "y"]
        batches = list(rows)
        assert ys(batches) == [[3, 5, 4, 0], [9, 8, 6, 1], [2, 7]]
        assert xs(batches) == [[y / 4] for batch in ys(batches) for y in batch]


def test_the_text_of_a_gzip_file_of_format_1_is_used_without_its_rows(copy_of):
    """Only the rows are stored again."""
    folder = copy_of("csv_gzip")
    for path in (folder / "cache").glob("*.*"):
        path.unlink()
    packed = folder / "numbers.csv.gz"
    replace(packed, packed.read_bytes()[:2] + bytes(packed.stat().st_size - 2))
    with nothing_written(folder / "cache" / "gunzipped"):
        assert sorted(y for batch in ys(parts.zipped_numbers(folder)) for y in batch) == list(range(10))


# --- packed stores --------------------------------------------------------------------------------------------------


def test_a_cache_of_a_reader_of_format_1_opens(copy_of):
    """It holds a checksum of the reader's code. The transform draws what it drew."""
    folder = copy_of("store_of_a_reader")
    other_bytes(folder / "images")
    with nothing_written(folder):
        images = parts.raw_images(folder, cache=folder / "cache", transform=parts.mirrored)
        assert images.class_names == ["day", "night"]
        batches = list(images)
    assert ys(batches) == [[0, 0, 1, 1], [1, 0]]
    shown = {5: False, 2: True, 4: True, 1: True, 3: False, 0: False}  # image: whether it is mirrored
    assert xs(batches) == [
        [row[::-1] if mirrored else row for row in raw_image(number)] for number, mirrored in shown.items()
    ]


def test_a_cache_of_photos_of_format_1_is_refused(copy_of):
    """It does not say how its files were decoded, which has changed since: orientation in XMP is applied."""
    folder = copy_of("store_of_photos")
    with (
        nothing_written(folder),
        pytest.raises(ko.DataError, match=r"stores other rows: .*decoding was None, is 3.* Pass overwrite_cache=True"),
    ):
        parts.photos(folder)


def test_a_cache_of_photos_of_format_1_opens_as_a_packed_store(copy_of):
    folder = copy_of("store_of_photos")
    other_bytes(folder / "photos")
    with nothing_written(folder):
        images = ko.open_packed(folder / "cache", batch_size=3, seed=6, data_format="channels_last")
        assert images.class_names == ["dark", "light"]
        batches = list(images)
    assert ys(batches) == [[1, 0, 1], [0]]
    cropped = np.array([[0, 6, 9], [12, 18, 21]])  # of one channel, nearest neighbours
    expected = [60 * number + cropped[:, :, None] + np.arange(3) for number in (2, 1, 3, 0)]
    assert xs(batches) == np.array(expected).tolist()


def test_a_packed_store_of_format_1_opens_alone(copy_of):
    folder = copy_of("store_packed")
    with nothing_written(folder):
        images = ko.open_packed(folder / "packed", batch_size=6, shuffle=False, on_error="skip")
        images.verify()
        ((x, y),) = images
    assert x.tolist() == [raw_image(number) for number in (0, 1, 2, 4, 5)]
    assert y.tolist() == [0, 1, 0, 1, 0]
    assert images.class_names == ["day", "night"]
    assert images.filenames(0) == parts.FILENAMES
    assert images.bad_samples == [("image 3.raw", "ValueError: cannot reshape array of size 7 into shape (2,2,3)")]


def test_the_measures_of_a_packed_store_of_format_1_are_those_of_its_rows(copy_of):
    """If they are computed in another way, they need another name: `MEASURES` in `store/format.py`."""
    folder = copy_of("store_with_measures")
    with nothing_written(folder):
        images = ko.open_packed(folder / "packed", batch_size=3, shuffle=False, data_format="channels_last")
        images.verify()
        ((x, _),) = images
        measures = np.load(folder / "packed" / "measures.npy")
        assert measures.dtype == np.float16
        np.testing.assert_allclose(measures[:, :4], measures_of(x)[:, :4], rtol=0.002)
        np.testing.assert_allclose(measures[:, 4:], measures_of(x)[:, 4:], atol=1)
        assert ko.check(folder / "packed").groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize("opens", ["cache", "packed"])
def test_a_store_of_several_arrays_of_format_1(copy_of, opens):
    """Each array is a file, and the batch is cut to its longest sample."""
    folder = copy_of("store_of_several_arrays")
    if opens == "cache":
        other_bytes(folder / "sounds")
        sequence = parts.sounds(folder, cache=f"{folder}/cache", shuffle=False)
    else:
        sequence = ko.open_packed(folder / "packed", batch_size=4, shuffle=False)
        sequence.verify()
    (x, y), (rest, _) = sequence
    assert x["sound"].tolist() == [[0, 0, 0], [10, 11, 0], [20, 21, 22], [30, 0, 0]]
    assert x["level"].tolist() == [[0], [5], [10], [15]]
    assert x["lengths"].tolist() == [1, 2, 3, 1]
    assert y.tolist() == [0, 1, 0, 1]
    assert rest["sound"].tolist() == [[40, 41, 0], [50, 51, 52]]
    assert np.load(folder / opens / "x_sound.npy").shape == (6, 4)


def test_an_unfinished_store_of_format_1_goes_on(copy_of):
    """One row is missing; the others are not read again."""
    folder = copy_of("store_unfinished")
    other_bytes(folder / "images")
    (folder / "images" / parts.FILENAMES[3]).write_bytes(bytes(range(60, 72)))
    parts.raw_images(folder).pack(folder / "packed")
    ((x, y),) = ko.open_packed(folder / "packed", batch_size=6, shuffle=False)
    assert x.tolist() == [raw_image(number) for number in range(6)]
    assert y.tolist() == [0, 1, 0, 1, 1, 0]


# --- flatten_images -------------------------------------------------------------------------------------------------


def test_a_move_of_files_of_format_1_goes_on(copy_of):
    """Three of five files had been moved; only the hidden file knows what they were called."""
    folder = copy_of("flattened")
    manifest = ko.flatten_images(folder / "photos", folder / "all_images", mode="move", progress=False)
    came_from = {
        "cat__1.png": "cat/1.png",
        "cat__indoors__1-a31f25e4.png": "cat/indoors__1.png",
        "cat__indoors__1.png": "cat/indoors/1.png",
        "dog__1.png": "dog/1.png",
        "dog__two words.png": "dog/two words.png",
    }
    assert {name: (folder / "all_images" / name).read_text() for name in manifest.filenames.tolist()} == came_from
    assert manifest.filenames.tolist() == list(came_from)
    assert (manifest.labels.tolist(), manifest.class_names) == ([0, 0, 0, 1, 1], ["cat", "dog"])
    assert not [path for path in (folder / "photos").rglob("*") if path.is_file()]


# --- checkpoints ----------------------------------------------------------------------------------------------------


def one_backend(*values):
    """A case that one backend shows, next to one that runs on every backend."""
    return pytest.param(*values, marks=pytest.mark.one_backend)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:The checkpoint .* was written with")
@pytest.mark.parametrize(
    ("kind", "epochs", "batches", "column"),
    [
        ("fit_resumable", 3, 12, {}),
        one_backend("fit_partitions", 4, 8, {"partition": [0, 1, 0, 1]}),
        one_backend("fit_phases", 3, 12, {"phase": ["head alone", "phase 2", "phase 2"]}),
    ],
)
def test_a_checkpoint_of_format_1_goes_on(copy_of, kind, epochs, batches, column):
    """Stopped in the middle of an epoch, it ends where the training ended that was not stopped."""
    folder = copy_of(kind)
    expected = json.loads((folder / "not_stopped.json").read_text())
    with open(folder / "log.csv", "a") as log:
        log.write("9,9,9,9,9\n")  # of an epoch after the checkpoint, which comes again
    history, (counter, epoch_list, stopping) = parts.train(kind, folder, start=5.0)  # weights are the checkpoint's
    assert history.epoch == list(range(epochs))
    assert (counter.num_batches, epoch_list.epochs) == (batches, tuple(range(epochs)))
    assert stopping.best == min(history.history["loss"])
    assert (folder / "log.csv").read_text().split("\n")[-2].startswith(f"{epochs - 1},")
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + epochs
    close = 1e-5 if keras.backend.backend() == expected["backend"] else 1e-3
    assert history.history.keys() == expected["history"].keys()
    for name, values in expected["history"].items():
        if name in column:
            assert history.history[name] == values == column[name]
        else:
            np.testing.assert_allclose(history.history[name], values, rtol=close, err_msg=name)
    for weight, value in zip(history.model.get_weights(), expected["weights"], strict=True):
        np.testing.assert_allclose(weight, value, rtol=close)


@pytest.mark.backend
def test_a_checkpoint_of_another_backend_is_said_to_be_one(copy_of):
    folder = copy_of("fit_resumable")
    written_on = json.loads((folder / "not_stopped.json").read_text())["backend"]
    if keras.backend.backend() == written_on:
        pytest.skip(f"the checkpoint was written on {written_on}")
    with pytest.warns(UserWarning, match=f"was written with .*backend {written_on}, now {keras.backend.backend()}"):
        parts.train("fit_resumable", folder)
