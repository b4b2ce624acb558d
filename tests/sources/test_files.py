"""FileSamples and FunctionReader: files are read by number, and errors name the file."""

import errno
import pickle

import numpy as np
import pytest

from keras_oocore.core.errors import SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.function_reader import FunctionReader
from keras_oocore.sources.npy import NpyReader


def load(path):
    return np.load(path)


@pytest.fixture
def manifest(tmp_path):
    """Five files. Every element of file i is i."""
    for number in range(5):
        np.save(tmp_path / f"{number}.npy", np.full((2, 3), number, "float32"))
    return Manifest.from_arrays([f"{number}.npy" for number in range(5)], directory=tmp_path)


def write_files(shape, num_files, folder):
    for number in range(num_files):
        np.save(folder / f"{number}.npy", np.full(shape, number + 1, "float32"))
    return Manifest.from_arrays([f"{number}.npy" for number in range(num_files)], directory=folder)


@pytest.mark.parametrize("make_reader", [NpyReader, lambda path: FunctionReader(load, path)], ids=["npy", "function"])
@pytest.mark.parametrize("shape", [(2, 3), (4,), (1,), ()])
def test_files_are_read_into_their_rows(tmp_path, make_reader, shape):
    manifest = write_files(shape, 5, tmp_path)
    samples = FileSamples(manifest, make_reader(manifest.path(0)))
    out = np.full((3, *shape), 77, "float32")

    assert (len(samples), samples.spec) == (5, (shape, np.float32))
    assert samples.read(np.array([4, 0, 4]), out) == {}
    assert out.reshape(3, -1)[:, 0].tolist() == [5, 1, 5]


def test_unreadable_files_are_errors_by_row_and_the_others_are_read(manifest, tmp_path):
    samples = FileSamples(manifest, NpyReader(manifest.path(0)))
    (tmp_path / "1.npy").unlink()
    np.save(tmp_path / "3.npy", np.zeros((2, 4), "float32"))
    out = np.full((5, 2, 3), 77, "float32")

    failed = samples.read(np.arange(5), out)

    assert sorted(failed) == [1, 3]
    assert str(failed[1]) == f"Cannot read sample 1, {str(tmp_path / '1.npy')!r}: No such file or directory."
    assert isinstance(failed[1].__cause__, FileNotFoundError)
    assert str(failed[3]).startswith(
        f"Cannot read sample 3, {str(tmp_path / '3.npy')!r}: expected an array of shape (2, 3)"
    )
    assert str(failed[3]).endswith("Received: shape (2, 4) and dtype float32.")
    assert [out[row].mean() for row in (0, 2, 4)] == [0, 2, 4]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error."),
        (OSError("no number"), "OSError: no number."),
        (SampleError("it is damaged."), "it is damaged."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero."),
    ],
)
def test_errors_of_a_reader_name_the_file(manifest, error, reason):
    class Broken:
        shape, dtype = (2, 3), "float32"

        def read_into(self, path, out):
            raise error

    failed = FileSamples(manifest, Broken()).read(np.array([2]), np.empty((1, 2, 3)))

    assert isinstance(failed[0], SampleError)
    assert str(failed[0]) == f"Cannot read sample 2, {manifest.path(2)!r}: {reason}"
    assert failed[0].__cause__ is error


def test_function_reader(manifest):
    seen = []

    def first_column(path):
        seen.append(path)
        return load(path)[:, 0].tolist()

    reader = FunctionReader(first_column, manifest.path(3))
    out = np.empty(2)
    reader.read_into(manifest.path(4), out)

    assert (reader.shape, reader.dtype, out.tolist()) == ((2,), np.float64, [4, 4])
    assert seen == [manifest.path(3), manifest.path(4)]


def test_doubtful_files_are_not_copied_whenever_they_are_asked_for(manifest):
    """A pass asks for them after every task, so a copy would take quadratic time."""

    class Doubting(NpyReader):
        def read_into(self, path, out):
            super().read_into(path, out)
            return "may be damaged"

    samples = FileSamples(manifest, Doubting(manifest.path(0)))
    known = samples.doubtful()
    with pytest.warns(UserWarning, match="may be damaged"):
        samples.read(np.arange(len(manifest)), np.empty((len(manifest), *samples.spec.shape), samples.spec.dtype))
    assert list(known) == [*range(len(manifest))]
    assert samples.doubtful() is known


def test_result_of_a_function_is_checked(manifest):
    arrays = {
        "first": np.zeros((2, 3), "float32"),
        "longer": np.zeros((2, 4), "float32"),
        "text": np.array([["a"] * 3] * 2),
    }
    reader = FunctionReader(arrays.get, "first")

    with pytest.raises(
        SampleError, match=r"shape \(2, 4\) and dtype float32; for the first file it was \(2, 3\) and float32"
    ):
        reader.read_into("longer", np.empty((2, 3), "float32"))
    with pytest.raises(SampleError, match=r"shape \(2, 3\) and dtype <U1; for the first file"):
        reader.read_into("text", np.empty((2, 3), "float32"))
    with pytest.raises(SampleError, match=r"should return numbers\. Received: an array of dtype <U1"):
        FunctionReader(arrays.get, "text")
    with pytest.raises(SampleError, match=r"should return numbers\. Received: an array of dtype object"):
        FunctionReader(arrays.get, "none")


def test_floats_are_converted_to_floats_but_not_to_integers():
    arrays = {"float32": np.ones(2, "float32"), "float64": np.full(2, 0.5), "int": np.ones(2, int)}
    FunctionReader(arrays.get, "float32").read_into("float64", out := np.empty(2, "float32"))

    assert out.tolist() == [0.5, 0.5]
    with pytest.raises(SampleError, match=r"dtype float64; for the first file it was .* and int64"):
        FunctionReader(arrays.get, "int").read_into("float64", np.empty(2, int))


def test_pickle(manifest):
    samples = pickle.loads(pickle.dumps(FileSamples(manifest, FunctionReader(load, manifest.path(0)))))
    out = np.empty((1, 2, 3), "float32")

    assert samples.read(np.array([3]), out) == {}
    assert out.mean() == 3
    assert samples.name(3) == manifest.path(3)


def test_wider_integers_of_later_files_are_errors(tmp_path):
    arrays = {"first": np.zeros(2, "uint8"), "wider": np.array([300, 1], "uint16"), "narrow": np.array([True, False])}
    reader = FunctionReader(arrays.__getitem__, "first")
    out = np.empty(2, "uint8")
    with pytest.raises(SampleError, match="and dtype uint16; for the first file it was"):
        reader.read_into("wider", out)
    reader.read_into("narrow", out)
    assert out.tolist() == [1, 0]

    single = FunctionReader(lambda path: np.ones(2, path), "float32")
    single.read_into("float64", out := np.empty(2, "float32"))
    assert out.tolist() == [1, 1]
