"""NpyReader: one `.npy` file per sample."""

import numpy as np
import pytest

from keras_oocore.core.errors import SampleError
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
    ids=["float32", "uint8", "Fortran order", "big-endian", "bool", "complex", "no axes", "empty"],
)
def test_saved_arrays_are_read(tmp_path, array):
    path = npy(tmp_path, "a.npy", array)
    reader = NpyReader(path)

    assert reader.shape == array.shape
    assert reader.dtype == array.dtype.newbyteorder("=")
    assert reader.dtype.isnative
    assert read(reader, path).tolist() == array.tolist()


def test_other_byte_orders_and_memory_layouts_are_converted(tmp_path):
    array = np.arange(6, dtype="float32").reshape(2, 3)
    reader = NpyReader(npy(tmp_path, "first.npy", array))

    assert read(reader, npy(tmp_path, "big.npy", (array + 1).astype(">f4"))).tolist() == (array + 1).tolist()
    assert read(reader, npy(tmp_path, "fortran.npy", np.asfortranarray(array + 2))).tolist() == (array + 2).tolist()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions_of_the_format(tmp_path, version):
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
def test_other_shape_or_dtype_than_the_first_file_is_an_error(tmp_path, other, received):
    reader = NpyReader(npy(tmp_path, "first.npy", np.zeros((2, 3), "float32")))

    with pytest.raises(
        SampleError, match=rf"shape \(2, 3\) and dtype float32, as in the first file\. Received: {received}"
    ):
        read(reader, npy(tmp_path, "other.npy", other))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\x93NUM", "not a .npy file"),
        (b"PK\x03\x04 an .npz file", "not a .npy file"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'", "not a .npy file"),
        (b"\x93NUMPY\x09\x00", "not a .npy file"),
    ],
)
def test_other_formats_are_errors(tmp_path, content, message):
    first = npy(tmp_path, "first.npy", np.zeros(3))
    path = tmp_path / "other.npy"
    path.write_bytes(content)

    with pytest.raises(SampleError, match=message):
        NpyReader(path)
    with pytest.raises(SampleError, match=message):
        read(NpyReader(first), path)


@pytest.mark.parametrize("array", [np.arange(100.0).reshape(10, 10), np.asfortranarray(np.ones((10, 10)))])
def test_truncated_file_is_an_error(tmp_path, array):
    first = npy(tmp_path, "first.npy", array)
    path = tmp_path / "cut.npy"
    path.write_bytes((tmp_path / "first.npy").read_bytes()[:-8])

    with pytest.raises((SampleError, ValueError), match=r"truncated|cannot reshape|array data|read"):
        read(NpyReader(first), path)


def test_pickled_objects_are_not_loaded(tmp_path):
    path = npy(tmp_path, "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)

    with pytest.raises(SampleError, match="contains Python objects, which need pickle; save an array of numbers"):
        NpyReader(path)


def test_a_structured_array_is_an_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, [("height", "f4"), ("width", "f4")]))
    with pytest.raises(SampleError, match="structured array with the fields 'height', 'width'; save an array of num"):
        NpyReader(tmp_path / "a.npy")
