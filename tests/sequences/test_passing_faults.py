"""A fault that passes is not a fault of the file: every Sequence of files serves all of them in the next run."""

import errno
import itertools
import os

import numpy as np
import pytest
from cached_photos import filled
from contracts.numbered import NUM_SAMPLES
from drawing import draw, numbers_in
from failing_disk import failing_disk, no_free_descriptor
from products import few_of_product

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError, ResourceError, SampleError
from keras_oocore.store.format import StoreRecord

PASSING = [errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR]
OTHERS = [errno.EACCES, errno.ENOENT]
STOPPING = [errno.EMFILE, errno.ENFILE, errno.ENOMEM]
BAD = ("2.png", "5.png")
WAYS, DECISIONS = ["plain", "cache", "pack"], ["raise", "skip", "replace"]
ON_ERROR = pytest.mark.parametrize("on_error", DECISIONS)
HOW = pytest.mark.parametrize("how", WAYS)
SERVED = {"skip": [0, 1, 3, 4, 6, 7, 8, 9], "replace": [0, 1, 3, 3, 4, 6, 6, 7, 8, 9]}


@pytest.fixture
def disk(monkeypatch):
    return failing_disk(monkeypatch)


@pytest.fixture
def run(open_photos, tmp_path):
    """A function that reads all photos in order, in one of three ways, and returns the Sequence and their numbers."""

    def run(how, **options):
        cache = tmp_path / "cache"
        sequence = open_photos(shuffle=False, **{**options, "cache": cache if how == "cache" else None})
        run.sequence = sequence
        if how == "pack":
            sequence.pack(cache)
            sequence = ko.open_packed(cache, shuffle=False, batch_size=4, on_error=options.get("on_error", "raise"))
        return sequence, numbers_in(np.concatenate([x for x, _ in sequence]))

    return run


def assert_next_run_is_whole(run, how, on_error, directory):
    sequence, numbers = run(how, on_error=on_error)
    assert numbers == list(range(NUM_SAMPLES))
    assert sequence.bad_samples == []
    if how == "cache":
        filled(sequence)
    if how != "plain":
        record = StoreRecord.load(directory)
        assert (record.complete, record.unreadable) == (True, {})


def each_way_with_one_of(codes):
    """Each way to read with each `on_error`, and one of the codes. The other codes are left to `make soak`."""
    ways = itertools.product(range(len(WAYS)), range(len(DECISIONS)))
    few = [(WAYS[way], DECISIONS[decision], codes[(4 * way + decision) % len(codes)]) for way, decision in ways]
    return few_of_product("how, on_error, code", few, WAYS, DECISIONS, codes)


@each_way_with_one_of(PASSING + OTHERS)
def test_next_run_serves_files_that_could_not_be_read(run, disk, tmp_path, code, how, on_error):
    disk.fail(code, BAD)
    if on_error == "raise":
        with pytest.raises(
            SampleError, match=r"Cannot read sample 2, .*2\.png.*The file may be intact: check its path"
        ):
            run(how, on_error=on_error)
    elif how == "pack":
        with pytest.raises(SampleError, match=r"2 of 10 samples are not stored.*2\.png' \(.*5\.png' \(.*call `pack`"):
            run(how, on_error=on_error)
        assert [os.path.basename(path) for path, _ in run.sequence.bad_samples] == list(BAD)
    else:
        sequence, numbers = run(how, on_error=on_error)
        assert numbers == SERVED[on_error]
        assert [os.path.basename(path) for path, _ in sequence.bad_samples] == list(BAD)
        sequence.close()
    assert disk.opened["2.png"] == (3 if code in PASSING else 1)
    if how != "plain":
        record = StoreRecord.load(tmp_path / "cache")
        assert (record.complete, record.unreadable) == (False, {})
    del run.sequence

    disk.heal()
    assert_next_run_is_whole(run, how, on_error, tmp_path / "cache")


@each_way_with_one_of(STOPPING)
def test_too_many_open_files_and_too_little_memory_stop_the_run(run, disk, tmp_path, code, how, on_error):
    disk.fail(code, BAD)
    expected = rf"Cannot read sample 2, .*2\.png': .*{os.strerror(code)}\. The file may be intact.* does not apply"
    with pytest.raises(ResourceError, match=expected):
        run(how, on_error=on_error)
    assert disk.opened["2.png"] == 1
    assert run.sequence.bad_samples == []
    run.sequence.close()

    disk.heal()
    assert_next_run_is_whole(run, how, on_error, tmp_path / "cache")


@ON_ERROR
def test_memory_error_of_a_reader_stops_the_run(tmp_path, on_error):
    np.save(tmp_path / "0.npy", np.zeros(2))

    def read(path):
        if os.path.basename(path) == "1.npy":
            raise MemoryError("Unable to allocate 7 TiB")
        return np.load(path)

    sequence = ko.NpyManifestSequence(
        ["0.npy", "1.npy"], None, directory=tmp_path, reader=read, on_error=on_error, shuffle=False
    )
    with pytest.raises(
        MemoryError, match=r"Cannot read sample 1, .*1\.npy': Unable to allocate 7 TiB\. .*memory_limit"
    ):
        sequence[0]


# Trying again


@pytest.mark.parametrize(("retries", "times", "is_read"), [(2, 2, True), (1, 1, True), (1, 2, False), (0, 1, False)])
def test_reading_is_tried_again_as_often_as_retries(run, disk, retries, times, is_read):
    disk.fail(errno.ESTALE, BAD, times)
    sequence, numbers = run("plain", on_error="skip", retries=retries)

    assert numbers == (list(range(NUM_SAMPLES)) if is_read else SERVED["skip"])
    assert len(sequence.bad_samples) == (0 if is_read else 2)
    assert disk.opened["2.png"] == min(retries, times) + 1
    assert disk.opened["3.png"] == 1


@pytest.mark.parametrize("retries", [-1, True, 1.5, "2", None])
def test_retries_should_be_a_non_negative_integer(open_photos, photos, retries):
    with pytest.raises(OptionError, match=r"`retries` should be a non-negative integer. Received: retries="):
        open_photos(retries=retries)
    with pytest.raises(OptionError, match=r"`retries` should be a non-negative integer. Received: retries="):
        ko.NpyManifestSequence(["0.npy"], None, directory=photos, retries=retries)


@pytest.fixture
def arrays(tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(4):
        np.save(folder / f"{number}.npy", np.full(2, number, "float32"))
    return folder


def open_arrays(folder, **options):
    options = {"labels": None, "directory": folder, "shuffle": False, "workers": 0, "on_error": "skip", **options}
    return ko.NpyManifestSequence([f"{number}.npy" for number in range(4)], **options)


@pytest.mark.parametrize("names", [("0.npy",), ("2.npy",), ("0.npy", "1.npy", "3.npy")])
def test_npy_files_are_tried_again(arrays, disk, names):
    disk.fail(errno.EIO, names, times=2)
    assert open_arrays(arrays)[0][:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "failed"), TimeoutError("slow"), ConnectionResetError("gone")])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_passing_errors_of_a_reader_are_tried_again_and_not_remembered(arrays, tmp_path, disk, error, is_wrapped):
    failing = [error] * 3

    def read(path):
        if path.endswith("2.npy") and failing:
            try:
                raise failing.pop()
            except OSError:
                if is_wrapped:
                    raise ValueError("not read")  # noqa: B904 - as users write it
                raise
        return np.load(path)

    sequence = open_arrays(arrays, reader=read, cache=tmp_path / "cache")
    assert sequence[0][:, 0].tolist() == [0, 1, 3]
    assert failing == []
    assert sequence[0][:, 0].tolist() == [0, 1, 2, 3]
    filled(sequence)
    assert StoreRecord.load(tmp_path / "cache").unreadable == {}


def test_first_file_that_defines_the_shape_may_fail(arrays, disk):
    disk.fail(errno.EMFILE, ("0.npy",))
    with pytest.raises(ResourceError, match=r"Cannot read sample 0, .*ulimit -n"):
        open_arrays(arrays)
    disk.fail(errno.EIO, ("0.npy",))
    assert open_arrays(arrays)[0][:, 0].tolist() == [1, 2, 3]
    with pytest.raises(SampleError, match="Cannot read sample 0"):
        open_arrays(arrays, on_error="raise")


# What stays


@HOW
def test_damaged_file_is_remembered(run, photos, tmp_path, how):
    (photos / "ant" / "2.png").write_bytes(b"not an image")
    sequence, numbers = run(how, on_error="skip")

    assert numbers == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    if how == "cache":
        filled(sequence)
    if how != "plain":
        record = StoreRecord.load(tmp_path / "cache")
        assert (record.complete, [*record.unreadable]) == (True, [2])


def test_missing_file_comes_back(run, photos, tmp_path):
    path = photos / "ant" / "2.png"
    manifest = ko.Manifest.from_directory(photos)
    path.unlink()
    options = {"image_size": (4, 5), "batch_size": 4, "workers": 0, "on_error": "skip", "shuffle": False}
    sequence = ko.ImageFolderSequence(manifest, cache=tmp_path / "cache", **options)
    for _ in range(2):
        assert numbers_in(np.concatenate([x for x, _ in sequence])) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert [reason for _, reason in sequence.bad_samples] == ["file not found"]

    draw(path, 2)
    assert numbers_in(np.concatenate([x for x, _ in sequence])) == list(range(NUM_SAMPLES))
    filled(sequence)
    assert StoreRecord.load(tmp_path / "cache").complete


def test_replacing_ends_if_the_disk_fails_for_every_file(run, disk):
    disk.fail(errno.EIO, [f"{number}.png" for number in range(NUM_SAMPLES)])
    with pytest.raises(SampleError, match=r"sample 0, .*The next 5 samples, which could replace it, cannot be read"):
        run("plain", on_error="replace", retries=0)
    assert disk.opened["9.png"] == 0


def test_error_that_the_user_is_handling_says_nothing_about_a_file(run, photos, tmp_path):
    (photos / "ant" / "2.png").write_bytes(b"not an image")
    try:
        raise OSError(errno.EMFILE, "Too many open files")
    except OSError:
        sequence, _ = run("cache", on_error="skip")
    filled(sequence)
    assert [*StoreRecord.load(tmp_path / "cache").unreadable] == [2]


# A process without file descriptors


@pytest.mark.parametrize("workers", [0, 2])
@ON_ERROR
def test_process_without_free_descriptors_stops_and_remembers_no_file(open_photos, tmp_path, on_error, workers):
    sequence = open_photos(on_error=on_error, workers=workers, shuffle=False)
    assert numbers_in(sequence[0][0]) == [0, 1, 2, 3]
    if workers:
        sequence.close()  # drops the batches made ahead, and the cache is opened again
    what = r"(the cache|sample \d)" if workers else "sample 4"  # threads may read a file while one opens the cache
    with no_free_descriptor(), pytest.raises(ResourceError, match=rf"Cannot read {what}.*: Too many open files"):
        sequence[1]

    sequence.close()  # drops the batches that failed ahead of time
    assert numbers_in(np.concatenate([x for x, _ in sequence])) == list(range(NUM_SAMPLES))
    assert filled(sequence).bad_samples == []
    record = StoreRecord.load(tmp_path / "cache")
    assert (record.complete, record.unreadable) == (True, {})


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", ["store.json", "rows.npy", "x.npy", "filenames.npy"])
def test_store_whose_disk_fails_is_not_called_damaged(open_photos, tmp_path, monkeypatch, code, name):
    open_photos().pack(tmp_path / "cache")
    real_open = open

    def failing(path, *arguments, **options):
        if os.path.basename(os.fspath(path)) == name:
            raise OSError(code, os.strerror(code), os.fspath(path))
        return real_open(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", failing)
        kind = ResourceError if code == errno.EMFILE else DataError
        with pytest.raises(kind, match=rf"Cannot read the packed store '.*': {os.strerror(code)}\. .*intact") as caught:
            ko.open_packed(tmp_path / "cache")
        if name != "filenames.npy":
            with pytest.raises(kind, match=rf"Cannot read the cache '.*': {os.strerror(code)}\. .*intact"):
                open_photos()
    assert "overwrite_cache" not in str(caught.value)
    assert numbers_in(open_photos(shuffle=False)[0][0]) == [0, 1, 2, 3]


def test_stored_labels_stay_if_they_cannot_be_read_for_a_moment(open_photos, photos, tmp_path, disk, monkeypatch):
    filled(open_photos()).close()
    monkeypatch.setattr("builtins.open", disk.open)
    disk.fail(errno.EIO, ["manifest.json", "labels.npy"])
    with pytest.raises(DataError, match=r"Cannot read the cache '.*': Input/output error\."):
        open_photos(labels=None)
    disk.heal()
    list(open_photos(labels=None))
    assert ko.open_packed(tmp_path / "cache").labels is not None
