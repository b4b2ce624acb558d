"""cache=: full disks, directories with other files, damaged and deleted caches."""

import os
import shutil
import subprocess
import sys
import warnings

import hidden_packages
import inside_sequence as inside
import numpy as np
import pytest
from cached_photos import filled
from contracts.numbered import CLASS_NAMES, NUM_SAMPLES
from contracts.reading import as_bytes
from drawing import draw

import keras_oocore as ko
from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.core.locks import write_lock


def test_directory_with_other_files_is_an_error(open_photos, photos):
    with pytest.raises(DestinationError, match=r"holds other files \(ant, bee, cat\) and no packed store"):
        open_photos(cache=photos)
    assert sorted(os.listdir(photos)) == CLASS_NAMES


def test_error_of_the_constructor_leaves_no_cache(open_photos, tmp_path):
    with pytest.raises(OptionError, match="`max_queue_size`"):
        open_photos(max_queue_size=0)
    assert not (tmp_path / "cache").exists()


def test_insufficient_disk_space_is_an_error_of_the_constructor(open_photos, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))

    with pytest.raises(DestinationError, match=r"Not enough disk for the packed store: 3\.6 kB needed, 5 B free"):
        open_photos()
    assert not (tmp_path / "cache").exists()


def test_cache_that_cannot_be_created_is_an_error_of_the_first_batch(open_photos, tmp_path, monkeypatch):
    sequence = open_photos()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))

    with pytest.raises(DestinationError, match="Not enough disk for the packed store"):
        sequence[0]
    assert not (tmp_path / "cache").exists()
    monkeypatch.undo()
    assert len(sequence[0][0]) == 4


def test_full_disk_is_a_warning_and_files_are_read(open_photos, monkeypatch):
    sequence = open_photos(workers=0)
    sequence[0]
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match=r"The cache is no longer filled, .*No space left on device"):
        list(sequence)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = open_photos(cache=None)
        list(plain)
        assert as_bytes(sequence) == as_bytes(plain)
    with (
        pytest.raises(DestinationError, match="No space left on device"),
        pytest.warns(UserWarning, match="no longer filled"),
    ):
        open_photos(cache=None).pack(inside.cache(sequence).directory)
    monkeypatch.undo()
    sequence.close()
    open_photos(cache=None).pack(inside.cache(sequence).directory)


@pytest.mark.parametrize("overwrite_cache", [True, False])
def test_deleted_cache_is_created_again(open_photos, tmp_path, overwrite_cache):
    first = open_photos()
    first[0]
    shutil.rmtree(tmp_path / "cache")
    second = open_photos(overwrite_cache=overwrite_cache)
    filled(second)

    ko.open_packed(tmp_path / "cache").verify()


def test_stored_manifest_of_other_files_is_an_error(open_photos, tmp_path):
    filled(open_photos()).close()
    ko.Manifest.load(tmp_path / "cache").take([3, 1, 2]).save(tmp_path / "cache")

    with pytest.raises(DataError, match=r"filenames.npy and labels.npy do not belong to its rows"):
        ko.open_packed(tmp_path / "cache")
    open_photos().pack(tmp_path / "cache")
    assert ko.open_packed(tmp_path / "cache").num_samples == NUM_SAMPLES


def test_cache_is_unlocked_after_an_error_that_is_kept(open_photos, photos, tmp_path):
    first = open_photos(shuffle=False)
    first[0]
    first.close()
    draw(photos / "ant" / "0.png", 20)
    with pytest.raises(DataError, match="files changed after") as kept:
        open_photos()
    with write_lock(tmp_path / "cache"):
        assert kept.value is not None


def test_script_with_an_unfinished_cache_exits_silently(photos, tmp_path):
    script = f"""
import keras_oocore as ko
sequence = ko.ImageFolderSequence({str(photos)!r}, image_size=4, batch_size=2, workers=0, cache={str(tmp_path / "c")!r})
sequence[0]
"""
    environment = {**hidden_packages.environment("numpy"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=300)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_overwrite_cache_without_cache_is_an_error(open_photos, photos, tmp_path):
    with pytest.raises(OptionError, match=r"`overwrite_cache=True` requires `cache`. Received: cache=None"):
        open_photos(cache=None, overwrite_cache=True)
    with pytest.raises(OptionError, match="`cache` is for rows that are read in blocks"):
        ko.ArraySequence(np.zeros((3, 2)), labels=None, cache=tmp_path / "cache")
