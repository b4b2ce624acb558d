"""Arrays from `.npy` files, a file a sample or a row a sample, whole or not at all."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.npy import NpyReader


def npy(folder, name, array, **options):
    path = folder / name
    np.save(path, array, **options)
    return str(path)


def read(reader, path):
    out = np.full(reader.shape, 77, reader.dtype)
    reader.read_into(path, out)
    return out


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="float32").reshape(2, 3, 4),
        np.arange(5, dtype="uint8"),
        np.asfortranarray(np.arange(6, dtype="float64").reshape(2, 3)),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array(3.5, dtype="float16"),
        np.zeros((0, 3), "float32"),
    ],
    ids=["float32", "uint8", "Fortran order", "big-endian", "bool", "complex", "no axes", "nothing in it"],
)
def test_an_array_is_read_as_it_was_saved(tmp_path, array):
    path = npy(tmp_path, "a.npy", array)
    reader = NpyReader(path)

    assert reader.shape == array.shape
    assert reader.dtype == array.dtype.newbyteorder("=")
    assert reader.dtype.isnative
    assert read(reader, path).tolist() == array.tolist()


def test_files_of_other_byte_or_memory_order_fit_the_first(tmp_path):
    array = np.arange(6, dtype="float32").reshape(2, 3)
    reader = NpyReader(npy(tmp_path, "first.npy", array))

    assert read(reader, npy(tmp_path, "big.npy", (array + 1).astype(">f4"))).tolist() == (array + 1).tolist()
    assert read(reader, npy(tmp_path, "fortran.npy", np.asfortranarray(array + 2))).tolist() == (array + 2).tolist()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(tmp_path, version):
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.arange(4), version=version)

    assert read(NpyReader(path), path).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("other", "received"),
    [
        (np.zeros((2, 4), "float32"), r"shape \(2, 4\) and dtype float32"),
        (np.zeros((6,), "float32"), r"shape \(6,\) and dtype float32"),
        (np.zeros((2, 3), "float64"), r"shape \(2, 3\) and dtype float64"),
        (np.zeros((2, 3), "int32"), r"shape \(2, 3\) and dtype int32"),
    ],
)
def test_an_array_unlike_the_first_is_refused(tmp_path, other, received):
    reader = NpyReader(npy(tmp_path, "first.npy", np.zeros((2, 3), "float32")))

    with pytest.raises(
        SampleError, match=rf"shape \(2, 3\) and dtype float32, as in the first file\. Received: {received}"
    ):
        read(reader, npy(tmp_path, "other.npy", other))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .npy file"),
        (b"\x93NUM", "not a .npy file"),
        (b"PK\x03\x04 a zip, say an .npz", "not a .npy file"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'", "not a .npy file"),
        (b"\x93NUMPY\x09\x00", "not a .npy file"),
    ],
)
def test_what_is_not_npy_is_said_to_be_so(tmp_path, content, message):
    first = npy(tmp_path, "first.npy", np.zeros(3))
    path = tmp_path / "other.npy"
    path.write_bytes(content)

    with pytest.raises(SampleError, match=message):
        NpyReader(path)
    with pytest.raises(SampleError, match=message):
        read(NpyReader(first), path)


@pytest.mark.parametrize("array", [np.arange(100.0).reshape(10, 10), np.asfortranarray(np.ones((10, 10)))])
def test_a_truncated_file_is_refused(tmp_path, array):
    first = npy(tmp_path, "first.npy", array)
    path = tmp_path / "cut.npy"
    path.write_bytes((tmp_path / "first.npy").read_bytes()[:-8])

    with pytest.raises((SampleError, ValueError), match=r"truncated|cannot reshape|array data|read"):
        read(NpyReader(first), path)


def test_a_pickle_is_never_loaded(tmp_path):
    path = npy(tmp_path, "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)

    with pytest.raises(SampleError, match="holds Python objects, which only a pickle can; save an array of numbers"):
        NpyReader(path)


@given(st.data())
def test_rows_of_an_array_are_rows(data):
    array = np.arange(60).reshape(20, 3)
    chosen = data.draw(st.none() | st.lists(st.integers(0, 19), min_size=1).map(np.array))
    rows = ArrayRows(array, chosen)
    samples = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8)))
    out = np.empty((len(samples), 3), int)

    assert rows.read(samples, out) == {}
    assert out.tolist() == (array if chosen is None else array[chosen])[samples].tolist()
    taken = rows.take(samples)
    assert len(taken) == len(samples)
    taken.read(np.arange(len(samples)), again := np.empty_like(out))
    assert again.tolist() == out.tolist()


@pytest.mark.parametrize("row_bytes", [1, 4095, 4096, 12288])
def test_rows_of_a_file_short_and_long(tmp_path, row_bytes):
    array = np.random.default_rng(0).integers(0, 256, (7, row_bytes), dtype="uint8")
    rows = ArrayRows(npy(tmp_path, "rows.npy", array))
    out = np.empty((3, row_bytes), "uint8")
    rows.read(np.array([6, 0, 6]), out)

    assert np.array_equal(out, array[[6, 0, 6]])
    assert (len(rows), rows.shape, rows.dtype) == (7, (row_bytes,), np.uint8)


@pytest.mark.parametrize(
    "array", [np.arange(6.0), np.asfortranarray(np.arange(6.0).reshape(3, 2)), np.arange(4, dtype=">i8")]
)
def test_rows_of_any_layout(tmp_path, array):
    rows = ArrayRows(npy(tmp_path, "rows.npy", array))
    out = np.empty((2, *rows.shape), rows.dtype)
    rows.read(np.array([2, 0]), out)

    assert rows.dtype.isnative
    assert out.tolist() == array[[2, 0]].tolist()


def test_a_file_of_rows_is_mapped_not_loaded_and_never_written(tmp_path):
    rows = ArrayRows(npy(tmp_path, "rows.npy", np.zeros((4, 2))))

    assert isinstance(rows.rows.array.base, np.memmap)
    assert not rows.rows.array.flags.writeable


def test_rows_pickle_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npy(tmp_path, "rows.npy", np.arange(10**5))
    rows = ArrayRows("rows.npy").take(np.array([5, 6]))
    monkeypatch.chdir("/")

    pickled = pickle.dumps(rows)
    again = pickle.loads(pickled)

    assert len(pickled) < 1000
    again.read(np.array([1, 0]), out := np.empty(2, int))
    assert out.tolist() == [6, 5]
    in_memory = pickle.loads(pickle.dumps(ArrayRows(np.arange(3), np.array([2]))))
    assert (len(in_memory), in_memory.rows.array.tolist()) == (1, [0, 1, 2])


def test_a_row_has_a_name(tmp_path):
    path = npy(tmp_path, "rows.npy", np.zeros((4, 2)))

    assert ArrayRows(path).take(np.array([3, 1])).name(0) == f"row 3 of {path}"
    assert ArrayRows(np.zeros((4, 2))).name(2) == "row 2"


def test_files_that_hold_no_rows(tmp_path):
    with pytest.raises(DataError, match=r"The rows of an array are wanted\. Received: an array without axes"):
        ArrayRows(npy(tmp_path, "scalar.npy", np.array(3)))
    with pytest.raises(DataError, match=r"Cannot read '.*gone.npy': No such file or directory\."):
        ArrayRows(tmp_path / "gone.npy")
    cut = tmp_path / "cut.npy"
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1000))
    for size in (0, 5, 50, 1000):
        cut.write_bytes(buffer.getvalue()[:size])
        with pytest.raises(DataError, match=r"'.*cut.npy' is not a whole .npy file of numbers"):
            ArrayRows(cut)
    objects = npy(tmp_path, "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"is not a whole .npy file of numbers"):
        ArrayRows(objects)
