"""cache=: rows of another reader are an error."""

import functools

import numpy as np
import pytest
from cached_photos import filled

import keras_oocore as ko
from keras_oocore.core.errors import DataError


def test_reader_with_other_code_is_an_error(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(str(number))
    names = [f"{number}.txt" for number in range(3)]

    def opened(reader):
        return ko.NpyManifestSequence(
            names, labels=None, directory=tmp_path, reader=reader, cache=tmp_path / "cache", shuffle=False
        )

    def number_in(path, factor=1):
        return np.array([float(open(path).read())]) * factor

    first = opened(number_in)
    assert first[0].ravel().tolist() == [0, 1, 2]
    assert opened(number_in)[0].ravel().tolist() == [0, 1, 2]
    original = number_in

    def number_in(path, factor=2):
        return np.array([float(open(path).read())]) * factor

    with pytest.raises(DataError, match=r"reader was '.*number_in \(CRC-32 .*\)', is '.*number_in \(CRC-32"):
        opened(number_in)
    with pytest.raises(DataError, match=r"reader was .*number_in \(CRC-32"):
        opened(functools.partial(original, factor=3))


def test_options_of_a_reader_object_are_compared(tmp_path):
    class Reader:
        shape, dtype = (), "int64"

        def __init__(self, offset):
            self.options = {"offset": offset}

        def read_into(self, path, out):
            out[...] = int(open(path).read()) + self.options["offset"]  # noqa: SIM115

    (tmp_path / "7.txt").write_text("7")

    def opened(reader):
        return ko.NpyManifestSequence(
            ["7.txt"], labels=None, directory=tmp_path, reader=reader, cache=tmp_path / "cache"
        )

    assert opened(Reader(1))[0].tolist() == [8]
    assert opened(Reader(1))[0].tolist() == [8]
    with pytest.raises(DataError, match="offset was 1, is 2"):
        opened(Reader(2))


def scaled_by(factor):
    def read(path):
        return np.load(path) * factor

    return read


class Scaling:
    """Multiplies by a factor, as a callable, a method, or a reader."""

    shape, dtype = (), np.dtype(float)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, path):
        return np.load(path) * self.factor

    def read(self, path):
        return self(path)

    def read_into(self, path, out):
        out[...] = self(path)


def from_text(factor):
    """A function whose source code is not available."""
    names = {"np": np}
    exec(f"def read(path): return np.load(path) * {factor}", names)
    return names["read"]


def with_default(factor):
    def read(path, factor=0):
        return np.load(path) * factor

    read.__defaults__ = (factor,)
    return read


@pytest.mark.parametrize(
    "reader_of",
    [
        scaled_by,
        with_default,
        from_text,
        Scaling,
        lambda factor: Scaling(factor).read,
        lambda factor: functools.partial(Scaling.__call__, Scaling(factor)),
        lambda factor: functools.partial(lambda factors, path: np.load(path) * factors[-1], np.full(5000, factor)),
    ],
    ids=["closure", "default", "no source", "reader object", "bound method", "partial", "partial of a large array"],
)
def test_reader_with_other_values_is_an_error(tmp_path, reader_of):
    np.save(tmp_path / "0.npy", np.array(7.0))

    def opened(factor):
        return ko.NpyManifestSequence(
            ["0.npy"], labels=None, directory=tmp_path, reader=reader_of(factor), cache=tmp_path / "cache"
        )

    assert filled(opened(2.0))[0].tolist() == [14.0]
    assert opened(2.0)[0].tolist() == [14.0]
    with pytest.raises(DataError, match=r"stores other rows: reader was"):
        opened(3.0)
