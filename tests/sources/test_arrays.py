"""ArrayRows: rows of an array in memory or in a `.npy` file."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError
from keras_oocore.sources.arrays import ArrayRows


def npy(folder, name, array, **options):
    path = folder / name
    np.save(path, array, **options)
    return str(path)


@given(st.data())
def test_read_and_select(data):
    array = np.arange(60).reshape(20, 3)
    chosen = data.draw(st.none() | st.lists(st.integers(0, 19), min_size=1).map(np.array))
    rows = ArrayRows(array, chosen)
    samples = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8)))
    out = np.empty((len(samples), 3), int)

    assert rows.read(samples, out) == {}
    assert out.tolist() == (array if chosen is None else array[chosen])[samples].tolist()
    selected = rows.select(samples)
    assert len(selected) == len(samples)
    selected.read(np.arange(len(samples)), again := np.empty_like(out))
    assert again.tolist() == out.tolist()


@pytest.mark.parametrize("row_bytes", [1, 4095, 4096, 12288])
def test_short_and_long_rows_of_a_file(tmp_path, row_bytes):
    array = np.random.default_rng(0).integers(0, 256, (7, row_bytes), dtype="uint8")
    rows = ArrayRows(npy(tmp_path, "rows.npy", array))
    out = np.empty((3, row_bytes), "uint8")
    rows.read(np.array([6, 0, 6]), out)

    assert np.array_equal(out, array[[6, 0, 6]])
    assert (len(rows), *rows.spec) == (7, (row_bytes,), np.uint8)


@pytest.mark.parametrize(
    "array", [np.arange(6.0), np.asfortranarray(np.arange(6.0).reshape(3, 2)), np.arange(4, dtype=">i8")]
)
def test_memory_layouts(tmp_path, array):
    rows = ArrayRows(npy(tmp_path, "rows.npy", array))
    out = np.empty((2, *rows.spec.shape), rows.spec.dtype)
    rows.read(np.array([2, 0]), out)

    assert rows.spec.dtype.isnative
    assert out.tolist() == array[[2, 0]].tolist()


def test_file_is_memory_mapped_read_only(tmp_path):
    rows = ArrayRows(npy(tmp_path, "rows.npy", np.zeros((4, 2))))

    assert isinstance(rows.rows.array.base, np.memmap)
    assert not rows.rows.array.flags.writeable


def test_pickle_contains_the_path_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npy(tmp_path, "rows.npy", np.arange(10**5))
    rows = ArrayRows("rows.npy").select(np.array([5, 6]))
    monkeypatch.chdir("/")

    pickled = pickle.dumps(rows)
    again = pickle.loads(pickled)

    assert len(pickled) < 1000
    again.read(np.array([1, 0]), out := np.empty(2, int))
    assert out.tolist() == [6, 5]
    in_memory = pickle.loads(pickle.dumps(ArrayRows(np.arange(3), np.array([2]))))
    assert (len(in_memory), in_memory.rows.array.tolist()) == (1, [0, 1, 2])


def test_names_of_rows(tmp_path):
    path = npy(tmp_path, "rows.npy", np.zeros((4, 2)))

    assert ArrayRows(path).select(np.array([3, 1])).name(0) == f"row 3 of {path}"
    assert ArrayRows(np.zeros((4, 2))).name(2) == "row 2"


def test_invalid_files_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"first axis is the samples\. Received: an array without axes"):
        ArrayRows(npy(tmp_path, "scalar.npy", np.array(3)))
    with pytest.raises(DataError, match=r"Cannot read '.*gone.npy': No such file or directory\."):
        ArrayRows(tmp_path / "gone.npy")
    cut = tmp_path / "cut.npy"
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1000))
    for size in (0, 5, 50, 1000):
        cut.write_bytes(buffer.getvalue()[:size])
        with pytest.raises(DataError, match=r"'.*cut.npy' is not a complete .npy file of numbers"):
            ArrayRows(cut)
    objects = npy(tmp_path, "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"is not a complete .npy file of numbers"):
        ArrayRows(objects)
