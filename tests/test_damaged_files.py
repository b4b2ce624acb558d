"""A damaged file of the package gives the same data, computed again if need be, or an error of the package."""

import gzip
import os
import random
import warnings

import numpy as np
import pytest
from json_records import change_record

import keras_oocore as ko
from keras_oocore.core.errors import OutOfCoreError
from keras_oocore.tables.csv import table as csv_table

SEED = 13
NUM_SHORT, NUM_LONG = 40, 1500  # damaged copies of each folder
HEADER_BYTES = 128  # of a `.npy` file; `verify` finds changed rows, and opening a store does not read them


class Folder:
    """Files that are damaged one at a time, and put back.

    Args:
        read: Function without arguments that returns the data.
        damaged: Path → the number of its first bytes to damage, or `None` for all of them.
        unchanged: Folder whose files are put back after each reading, because reading may write them again.
    """

    def __init__(self, read, damaged, unchanged):
        self.read, self.unchanged = read, unchanged
        self.data = read()
        self.files = {path: (path.read_bytes(), path.stat()) for path in unchanged.rglob("*") if path.is_file()}
        self.damaged = [(path, len(self.files[path][0][:size])) for path, size in damaged.items()]

    def outcome(self, path, content):
        """`"same"`, `"error"`, or what is wrong, after one file has other content."""
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return "same" if same(self.read(), self.data) else "OTHER DATA"
        except OutOfCoreError:
            return "error"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._put_back()

    def _put_back(self):
        for path in self.unchanged.rglob("*"):
            if path.is_file() and path not in self.files:
                path.unlink()
        for path, (content, status) in self.files.items():
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
                os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def flip_a_bit(content, at, draw):
    return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]


def set_a_byte(content, at, draw):
    return content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]


def set_a_digit(content, at, draw):
    digits = [i for i in range(len(content)) if content[i : i + 1].isdigit()]
    at = draw.choice(digits) if digits else at
    return content[:at] + b"%d" % draw.randrange(10) + content[at + 1 :]


def drop_bytes(content, at, draw):
    return content[:at] + content[at + draw.randrange(1, 20) :]


def insert_a_byte(content, at, draw):
    return content[:at] + bytes([draw.randrange(256)]) + content[at:]


def zero_bytes(content, at, draw):
    size = min(draw.randrange(1, 40), len(content) - at)
    return content[:at] + bytes(size) + content[at + size :]


def truncate(content, at, draw):
    return content[:at]


KINDS = [flip_a_bit, flip_a_bit, set_a_byte, set_a_digit, drop_bytes, insert_a_byte, zero_bytes, truncate]


def wrong_outcomes(folder, num_copies, allowed):
    """Damage files in `num_copies` ways, and return the ways that ended in other data or in another error."""
    draw, wrong = random.Random(SEED), []
    print("seed", SEED)
    for _ in range(num_copies):
        path, size = draw.choice(folder.damaged)
        content, kind = folder.files[path][0], draw.choice(KINDS)
        at = draw.randrange(size)
        outcome = folder.outcome(path, kind(content[:size], at, draw) + content[size:])
        if outcome not in allowed:
            wrong.append((path.name, kind.__name__, at, outcome))
    return wrong


# --- what is damaged ------------------------------------------------------------------------------------------------


def manifest(tmp_path):
    """A saved manifest with class names."""
    made = ko.Manifest.from_arrays(["a/1.png", "b/2.png", "b/3.png"], ["a", "b", "b"], tmp_path / "photos")
    folder = made.save(tmp_path / "saved")

    def read():
        loaded = ko.Manifest.load(folder)
        return loaded.filenames, loaded.labels, loaded.class_names, os.path.realpath(loaded.directory)

    return Folder(read, {path: None for path in folder.iterdir()}, folder)


def packed_store(tmp_path):
    """A finished store of arrays with measured labels, which is verified before it is read."""
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.float32([[number, 1, 2], [3, 4, 5.5]]))
    names, labels = [f"{number}.npy" for number in range(6)], np.arange(12, dtype=np.float32).reshape(6, 2) / 7
    sequence = ko.NpyManifestSequence(names, labels, directory=tmp_path, workers=0)
    folder = sequence.pack(tmp_path / "packed")

    def read():
        packed = ko.open_packed(folder, shuffle=False, workers=0)
        packed.verify()
        x, y = packed[0]
        return x, y, packed.file_paths

    return Folder(read, {path: None for path in folder.iterdir() if path.stat().st_size}, folder)


def write_houses(path, bad_row=""):
    cities = ["Rome", "Oslo", "Bern", "Rome"]
    rows = [f"{'' if i % 10 == 3 else i / 4},{cities[i % 4]},{i}\n" for i in range(40)]
    rows.insert(8, bad_row)
    path.write_text("a,city,price\n" + "".join(rows))


def read_houses(path, **options):
    """A function that returns all rows of a table."""

    def read():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = ko.CSVChunkSequence(
                path, target="price", categorical=["city"], missing="mean", shuffle=False, workers=0, **options
            )
            try:
                return tuple(np.concatenate(part) for part in zip(*(rows[i] for i in range(len(rows)))))
            finally:
                rows.close()

    return read


def index_beside_a_table(tmp_path):
    """The index that `save_index` writes, of several chunks, with a row to skip."""
    write_houses(tmp_path / "houses.csv", bad_row='5,"Ro"me,7\n')
    read = read_houses(tmp_path / "houses.csv", on_bad_row="skip")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(csv_table, "CHUNK_BYTES", 60)
        ko.CSVChunkSequence(tmp_path / "houses.csv", target="price", features=["a"], on_bad_row="skip").save_index()
    (index,) = tmp_path.glob("*.json")
    return Folder(read, {index: None}, tmp_path)


def old_index_beside_a_table(tmp_path):
    """An index without a checksum. Nothing tells whether its numbers are those of the scan."""
    folder = index_beside_a_table(tmp_path)
    ((path, _),) = folder.damaged
    change_record(path)
    return Folder(folder.read, {path: None}, tmp_path)


def cache_of_a_table(tmp_path, is_half_filled=False):
    """The cache of a table, with means and codes."""
    write_houses(tmp_path / "houses.csv")
    cache = tmp_path / "cache"
    read = read_houses(tmp_path / "houses.csv", cache=cache)
    read()
    sizes = {cache / "x.npy": HEADER_BYTES}
    if is_half_filled:
        (cache / "checksums.npy").unlink()
        change_record(cache / "store.json", state="filling", rows_crc32=None)
        np.save(cache / "rows.npy", np.repeat(np.uint8([1, 0]), 20))
        sizes[cache / "rows.npy"] = HEADER_BYTES  # states that change while a store fills have no checksum
    paths = [path for path in cache.iterdir() if path.stat().st_size]
    if is_half_filled:
        paths.remove(cache / "store.json")  # without a checksum
    return Folder(read, {path: sizes.get(path) for path in paths}, cache)


def half_filled_cache_of_a_table(tmp_path):
    """Half of the rows have the means of the statistics file, and the other half must get the same."""
    return cache_of_a_table(tmp_path, is_half_filled=True)


def note_of_a_gzip_file(tmp_path):
    """The stamps that tell whether the text of a gzip file is unpacked already."""
    write_houses(tmp_path / "houses.csv")
    path, cache = tmp_path / "houses.csv.gz", tmp_path / "cache"
    path.write_bytes(gzip.compress((tmp_path / "houses.csv").read_bytes()))
    read = read_houses(path, cache=cache)
    read()
    return Folder(read, {cache / "gunzipped" / "0-houses.csv.gz.json": None}, cache)


def features_of_a_table(tmp_path):
    """What `save_features` writes."""
    write_houses(tmp_path / "houses.csv")
    path = tmp_path / "saved" / "features.json"
    rows = ko.CSVChunkSequence(tmp_path / "houses.csv", "price", ["a", "city"], missing="mean", workers=0)
    rows.save_features(path)

    def read():
        features = ko.load_features(path)
        return features.encode([{"a": None, "city": "Rome"}, {"a": "3", "city": "?"}]), features.means["a"]

    return Folder(read, {path: None}, tmp_path / "saved")


FOLDERS = [
    manifest,
    packed_store,
    index_beside_a_table,
    cache_of_a_table,
    half_filled_cache_of_a_table,
    note_of_a_gzip_file,
    features_of_a_table,
]
COPIES = [NUM_SHORT, pytest.param(NUM_LONG, marks=pytest.mark.soak)]


@pytest.mark.parametrize("num_copies", COPIES)
@pytest.mark.parametrize("make", FOLDERS, ids=lambda make: make.__name__)
def test_damage_is_found_or_changes_nothing(tmp_path, make, num_copies):
    assert wrong_outcomes(make(tmp_path), num_copies, allowed=("same", "error")) == []


@pytest.mark.parametrize("num_copies", COPIES)
def test_damage_of_an_index_without_a_checksum_is_never_an_error_of_python(tmp_path, num_copies):
    folder = old_index_beside_a_table(tmp_path)
    assert wrong_outcomes(folder, num_copies, allowed=("same", "error", "OTHER DATA")) == []


# --- single faults that were once served ----------------------------------------------------------------------------


def test_a_bit_of_the_byte_order_of_labels_is_found(tmp_path):
    folder = packed_store(tmp_path)
    path = tmp_path / "packed" / "labels.npy"
    content = path.read_bytes()
    assert folder.outcome(path, content.replace(b"'<f4'", b"'>f4'")) == "error"
    path.write_bytes(content.replace(b"'<f4'", b"'>f4'"))
    with pytest.raises(ko.DataError, match=r"labels\.npy' \(6 samples\) does not belong to manifest\.json"):
        ko.open_packed(tmp_path / "packed")


def test_the_order_of_the_axes_of_rows_is_found(tmp_path):
    packed_store(tmp_path)
    path = tmp_path / "packed" / "x.npy"
    path.write_bytes(path.read_bytes().replace(b"'fortran_order': False, ", b"'fortran_order': True,  "))
    with pytest.raises(ko.DataError, match=r"x\.npy' is not the array that store\.json describes"):
        ko.open_packed(tmp_path / "packed")


def test_a_header_of_another_length_is_found(tmp_path):
    """The padding is shorter, so that all rows move by 16 bytes."""
    packed_store(tmp_path)
    path = tmp_path / "packed" / "x.npy"
    content = bytearray(path.read_bytes())
    content[8] -= 16
    path.write_bytes(content)
    with pytest.raises(ko.DataError, match=r"x\.npy' is (not the array|missing, truncated or damaged)"):
        ko.open_packed(tmp_path / "packed")


def test_a_class_name_that_changed_is_found(tmp_path):
    manifest(tmp_path)
    path = tmp_path / "saved" / "manifest.json"
    path.write_text(path.read_text().replace('"b"', '"c"'))
    with pytest.raises(ko.DataError, match=r"manifest\.json' is damaged \(its checksum does not match\)"):
        ko.Manifest.load(tmp_path / "saved")


def test_a_digit_of_a_mean_is_computed_again(tmp_path):
    folder = half_filled_cache_of_a_table(tmp_path)
    path = tmp_path / "cache" / "statistics.json"
    text = path.read_text()
    assert folder.outcome(path, text.replace('"mean": 4', '"mean": 9').encode()) == "same"
    assert folder.outcome(path, text.replace('"Rome": 20', '"Rome": 10').encode()) == "same"
