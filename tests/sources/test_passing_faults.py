"""FileSamples and Cached: faults that pass are tried again, and are not stored as faults of a file."""

import errno
import os

import numpy as np
import pytest
from raw_files import RawReader, cache_of, make_files, read_all, samples_of

from keras_oocore.core import faults
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.sources import files
from keras_oocore.sources.fill import fill_store


@pytest.fixture
def folder(tmp_path):
    return make_files(tmp_path / "files", 20)


class FailingReader(RawReader):
    """Raises an error for some files, a number of times each."""

    def __init__(self, code, names, times=10**6):
        self.code, self.left = code, dict.fromkeys(names, times)
        self.read = []

    def read_into(self, path, out):
        name = os.path.basename(path)
        self.read.append(name)
        if self.left.get(name, 0):
            self.left[name] -= 1
            raise OSError(self.code, os.strerror(self.code))
        super().read_into(path, out)


def test_a_call_pauses_once_per_attempt_for_all_its_rows(folder, monkeypatch):
    pauses = []
    monkeypatch.setattr(files, "pause", pauses.append)
    reader = FailingReader(errno.EIO, [f"{number}.raw" for number in range(20)], times=2)
    samples = samples_of(folder, reader)
    out = np.empty((20, 8), np.uint8)

    assert samples.read(np.arange(20), out) == {}
    assert out[:, 0].tolist() == list(range(20))
    assert pauses == [1, 2]


def test_a_call_without_faults_does_not_pause(folder, monkeypatch):
    monkeypatch.setattr(files, "pause", None)
    assert read_all(samples_of(folder)) == (list(range(20)), {})


def test_rows_that_stay_unreadable_are_errors_and_others_are_read(folder, monkeypatch):
    monkeypatch.setattr(faults, "MOST_PAUSE_SECONDS", 0)
    reader = FailingReader(errno.EIO, ["1.raw", "3.raw"])
    reader.left["3.raw"] = 1
    out = np.empty((4, 8), np.uint8)
    failed = samples_of(folder, reader).read(np.array([3, 1, 0, 2]), out)

    assert (out[[0, 2, 3], 0].tolist(), [*failed]) == ([3, 0, 2], [1])
    assert (failed[1].reason, failed[1].proven) == ("Input/output error", False)
    assert reader.read == ["3.raw", "1.raw", "0.raw", "2.raw", "3.raw", "1.raw", "1.raw"]


def test_selection_keeps_retries(folder):
    reader = FailingReader(errno.EIO, ["3.raw"])
    source = files.FileSamples(samples_of(folder).manifest, reader, retries=0)

    assert [*source.select(np.array([3])).read(np.array([0]), np.empty((1, 8), np.uint8))] == [0]
    assert reader.read == ["3.raw"]


def test_faults_that_an_older_store_remembers_stay(tmp_path, folder):
    reader = FailingReader(errno.EACCES, [])
    samples = cache_of(folder, tmp_path / "store", reader=reader)
    rows = np.array([3])
    samples._store.mark_unreadable(rows, "No such file or directory", {"source": samples.stamps(rows)})
    _, errors = read_all(samples)
    samples.finish()

    assert ([*errors], errors[3].reason, "3.raw" in reader.read) == ([3], "No such file or directory", False)
    samples.close()
    samples = cache_of(folder, tmp_path / "store", reader=reader)
    assert [*read_all(samples)[1]] == [3]
    assert samples._store.complete


def test_row_whose_status_could_not_be_read_is_not_stored(tmp_path, folder, monkeypatch):
    stat = os.stat

    def failing(path, *arguments, **options):
        if os.fspath(path).endswith("/3.raw"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return stat(path, *arguments, **options)

    samples = cache_of(folder, tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", failing)
        assert read_all(samples) == (list(range(20)), {})
    assert samples.missing().tolist() == [3]
    assert read_all(samples) == (list(range(20)), {})
    samples.finish()
    samples.close()
    assert read_all(cache_of(folder, tmp_path / "store")) == (list(range(20)), {})


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_packing_names_a_few_of_many_files_and_resumes(tmp_path, folder, code, monkeypatch):
    monkeypatch.setattr(faults, "MOST_PAUSE_SECONDS", 0)
    reader = FailingReader(code, [f"{number}.raw" for number in range(7, 19)])
    samples, bad = cache_of(folder, tmp_path / "store", reader=reader), {}
    message = rf"12 of 20 samples are not stored.*7\.raw' \({os.strerror(code)}\), .*11\.raw' \(.*\) and 7 more\. "
    with pytest.raises(SampleError, match=message) as caught:
        fill_store(samples, 2, bad)
    assert (sorted(bad), caught.value.proven) == (list(range(7, 19)), False)
    assert isinstance(caught.value, DataError)

    reader.left.clear(), reader.read.clear(), bad.clear()
    fill_store(samples, 2, bad)
    assert (sorted(reader.read), bad) == (sorted(f"{number}.raw" for number in range(7, 19)), {})
