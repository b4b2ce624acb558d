"""A cache with two processes, a full disk, files that change, forks and Ctrl-C: no wrong row is ever served.

The child processes run this file as a script.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from child_of_file import child, output, run_as_script, say
from raw_files import RawReader, cache_of, change, finish_all, make_files, read_all, samples_of

from keras_oocore.core.errors import BusyError, DataError, DestinationError, SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources import shared_store
from keras_oocore.sources.cache import cached
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.fill import fill_store
from keras_oocore.store import writer as packed_writer
from keras_oocore.store.reader import PackedStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


# --- two processes ---


def fill_half(folder, directory):
    """Fill half a cache, and the other half after a line of input."""
    samples = cache_of(folder, directory)
    read_all(samples, np.arange(10))
    samples._store.sync()
    say("half")
    sys.stdin.readline()
    read_all(samples)
    samples.finish()
    samples.close()
    say("finished")


@pytest.fixture
def folder(tmp_path):
    return make_files(tmp_path / "files", 20)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(shared_store, "RETRY_SECONDS", 0)


def test_a_second_process_reads_the_files_and_then_the_finished_store(tmp_path, folder, impatient):
    with child(fill_half, folder, tmp_path / "store") as process:
        assert process.stdout.readline() == "half\n"
        samples = cache_of(folder, tmp_path / "store")
        assert not samples.has_store
        assert read_all(samples) == (list(range(20)), {})
        with pytest.raises(BusyError, match="Another process is filling"):
            fill_store(samples, 1)
        say_go(process)
        assert process.stdout.readline() == "finished\n"
        assert read_all(samples) == (list(range(20)), {})
    assert isinstance(samples._store, PackedStore)
    samples._store.verify()


def say_go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_second_process_takes_over_when_the_first_is_killed(tmp_path, folder, impatient):
    with child(fill_half, folder, tmp_path / "store") as process:
        assert process.stdout.readline() == "half\n"
        samples = cache_of(folder, tmp_path / "store")
        assert read_all(samples) == (list(range(20)), {})
        process.kill()
    assert samples.has_store
    assert samples.missing().tolist() == list(range(10, 20))
    assert read_all(samples) == (list(range(20)), {})
    samples.finish()
    PackedStore(tmp_path / "store").verify()


def test_a_waiting_process_does_not_check_all_files_each_time(tmp_path, folder, impatient, monkeypatch):
    with child(fill_half, folder, tmp_path / "store") as process:
        assert process.stdout.readline() == "half\n"
        source, stamped = samples_of(folder), []
        monkeypatch.setattr(source, "stamps", lambda *_: stamped.append(1))
        samples = Cached(source, tmp_path / "store", keep_errors=True)
        for _ in range(5):
            assert read_all(samples) == (list(range(20)), {})
        assert stamped == []
        process.kill()


def fill_slowly(folder, directory):
    """Fill a cache with two threads, sample by sample."""
    samples = cache_of(folder, directory)
    threads = [threading.Thread(target=read_all, args=(samples, np.random.permutation(20))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    samples.finish()


def test_a_reader_sees_an_unfinished_store_or_a_finished_one(tmp_path, folder):
    met, states = set(), ("does not exist", "is not a packed store", "is unfinished")
    with child(fill_slowly, folder, tmp_path / "store") as process:
        while True:
            ended = process.poll() is not None
            try:
                store = PackedStore(tmp_path / "store")
                break
            except DataError as error:
                met.add(next((state for state in states if state in str(error)), str(error)))
            assert not ended, met
    assert met <= {*states}
    out = np.empty((20, 8), np.uint8)
    store.read("x", np.arange(20), out)
    assert out[:, 5].tolist() == list(range(20))
    store.verify()


# --- a full disk ----------------------------------------------------------------------------------------------------


def fill_a_small_disk(folder, directory, limit_bytes):
    """Two epochs and a `pack` on a disk with room for some rows."""
    import resource

    samples = cache_of(folder, directory)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            assert read_all(samples, np.arange(20)[::-1]) == (list(range(20))[::-1], {})
    say(len(caught))
    say(caught[0].message)
    for call in (samples.finish, lambda: fill_store(samples, 2)):
        try:
            call()
        except DestinationError:
            say("refused")
    unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)  # `make coverage` writes what it measured


@pytest.mark.parametrize("limit_bytes", [128 + 80, 1], ids=["some rows", "no byte"])
def test_a_full_disk_warns_once_and_training_continues(tmp_path, folder, limit_bytes):
    said, complaints = output(fill_a_small_disk, folder, tmp_path / "store", limit_bytes)
    lines = said.splitlines()
    assert lines[0] == "1"
    assert "The cache is no longer filled, and the files are read instead: Cannot write" in lines[1]
    assert lines[2:] == ["refused", "refused"]
    assert "Traceback" not in complaints
    samples = cache_of(folder, tmp_path / "store")
    assert 0 < len(samples.missing()) <= 20
    assert read_all(samples) == (list(range(20)), {})
    samples.finish()
    PackedStore(tmp_path / "store").verify()


class LargeReader(RawReader):
    """Reads a file as 1 MB of its first byte."""

    shape, options = (2**20,), {"reader": "large"}

    def read_into(self, path, out):
        out[...] = np.fromfile(path, np.uint8)[0]


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 48 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "none", disk]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_other_programs_fill(small_disk, folder):
    def leave_free(num_bytes):
        free_bytes = shutil.disk_usage(small_disk).free
        with open(small_disk / "other file", "wb") as file:
            file.write(bytes(free_bytes - num_bytes))

    directory = small_disk / "store"
    samples = cache_of(folder, directory, reader=LargeReader())
    leave_free(5 * 2**20)
    with pytest.warns(UserWarning, match="The cache is no longer filled.*No space left.*Free some space") as caught:
        assert read_all(samples) == (list(range(20)), {})
    assert len(caught) == 1
    with pytest.raises(DestinationError, match="No space left"):
        samples.finish()
    samples.close()
    with pytest.raises(DestinationError, match=r"Not enough disk for the packed store: 1\d\.\d MB needed"):
        cache_of(folder, directory, reader=LargeReader())
    (small_disk / "other file").unlink()
    samples = cache_of(folder, directory, reader=LargeReader())
    assert 10 <= len(samples.missing()) <= 19
    leave_free(8 * 2**20)
    with pytest.raises(DestinationError, match="No space left"), pytest.warns(UserWarning, match="no longer filled"):
        fill_store(samples, 2)
    samples.close()
    (small_disk / "other file").unlink()
    samples = cache_of(folder, directory, reader=LargeReader())
    fill_store(samples, 2)
    assert read_all(samples) == (list(range(20)), {})
    samples._store.verify()
    samples.close()


# --- files that change ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [True, False])
def test_a_file_that_changed_between_epochs_is_an_error(tmp_path, folder, finished):
    samples = cache_of(folder, tmp_path / "store")
    read_all(samples, np.arange(20 if finished else 10))
    samples.finish()
    change(folder / "3.raw", bytes([99]) * 8)
    levels, errors = read_all(samples, np.array([4, 3, 3, 2]))
    assert list(errors) == [1, 2]
    assert isinstance(errors[1], SampleError)
    assert "3.raw': its file changed after it was stored" in str(errors[1])
    assert "Pass overwrite_cache=True" in errors[1].reason
    assert (levels[0], levels[3]) == (4, 2)
    if finished:
        assert read_all(samples, np.array([3, 15]))[1].keys() == {0}


@pytest.mark.parametrize("num_stored", [20, 10])
def test_files_that_changed_between_runs_are_an_error_until_overwrite(tmp_path, folder, num_stored):
    samples = cache_of(folder, tmp_path / "store")
    read_all(samples, np.arange(num_stored))
    samples.finish()
    samples.close()
    for number in (3, 5, 7, 9):
        change(folder / f"{number}.raw", bytes([number + 50]) * 8)
    expected = (
        r"4 of 20 files changed after they were stored in '.*': "
        r"'.*3\.raw', '.*5\.raw', '.*7\.raw', \.\.\..*overwrite_cache"
    )
    for _ in range(2):
        with pytest.raises(DataError, match=expected):
            cache_of(folder, tmp_path / "store")
    samples = cache_of(folder, tmp_path / "store", overwrite=True)
    levels, errors = read_all(samples)
    assert (levels[2:10], errors) == ([2, 53, 4, 55, 6, 57, 8, 59], {})


def test_a_cache_that_is_filled_while_it_is_opened_again_has_no_changed_files(tmp_path, folder, monkeypatch):
    """Another Sequence of this process fills it."""
    first, read = cache_of(folder, tmp_path / "store"), packed_writer.PackedStoreWriter.read

    def read_and_fill(writer, *arguments):
        read(writer, *arguments)
        monkeypatch.undo()
        read_all(first)

    monkeypatch.setattr(packed_writer.PackedStoreWriter, "read", read_and_fill)
    second = cache_of(folder, tmp_path / "store")
    assert read_all(second) == (list(range(20)), {})


def test_a_removed_file_is_read_from_the_cache(tmp_path, folder):
    samples = cache_of(folder, tmp_path / "store")
    read_all(samples)
    samples.finish()
    samples.close()
    source = samples_of(folder)
    (folder / "3.raw").rename(tmp_path / "away")
    samples = cached(source, tmp_path / "store", True, False)
    assert read_all(samples) == (list(range(20)), {})
    (tmp_path / "away").rename(folder / "3.raw")
    assert read_all(samples) == (list(range(20)), {})
    change(folder / "3.raw", bytes(8))
    assert read_all(samples)[1].keys() == {3}


def test_only_repaired_files_are_read_again(tmp_path, folder):
    class CountingReader(RawReader):
        def read_into(self, path, out):
            seen.append(Path(path).name)
            super().read_into(path, out)

    seen = []
    change(folder / "3.raw", b"short")
    change(folder / "5.raw", b"short")
    source = samples_of(folder, CountingReader())
    (folder / "7.raw").rename(tmp_path / "away")
    samples = cached(source, tmp_path / "store", True, False)
    assert read_all(samples)[1].keys() == {3, 5, 7}
    samples.close()

    seen.clear()
    samples = cached(source, tmp_path / "store", True, False)
    errors = read_all(samples)[1]
    assert [errors[row].reason for row in (3, 7)] == ["ValueError: 5 bytes", "No such file or directory"]
    assert seen == ["7.raw"]  # a missing file may come back
    samples.close()

    seen.clear()
    change(folder / "3.raw", bytes([3]) * 8)
    (tmp_path / "away").rename(folder / "7.raw")
    samples = cached(source, tmp_path / "store", True, False)
    assert samples.missing().tolist() == [3, 7]
    levels, errors = read_all(samples)
    assert (levels[3], levels[7], errors.keys(), seen) == (3, 7, {5}, ["3.raw", "7.raw"])
    samples.finish()
    store = PackedStore(tmp_path / "store")
    assert store.unreadable.keys() == {5}
    store.verify()


def test_a_file_that_changes_while_it_is_read_is_not_stored(tmp_path, folder):
    class MeddlingReader(RawReader):
        def read_into(self, path, out):
            super().read_into(path, out)
            if path.endswith("/3.raw") and len(meddled) < 2:
                meddled.append(path)
                change(Path(path), bytes([30 + len(meddled)]) * 8)

    meddled = []
    samples = cache_of(folder, tmp_path / "store", reader=MeddlingReader())
    assert read_all(samples)[0][3] == 3
    assert samples.missing().tolist() == [3]
    with pytest.raises(DataError, match=r"1 files changed while they were read: '.*3\.raw'. Call `pack` again"):
        fill_store(samples, 2)
    fill_store(samples, 2)
    assert read_all(samples)[0][3] == 32
    samples._store.verify()


def test_two_threads_read_a_sample_while_its_file_changes(tmp_path, folder):
    """The second thread reads the changed file while the first one is still storing the old content."""

    class SlowReader(RawReader):
        def read_into(self, path, out):
            super().read_into(path, out)
            if out[0] == 3:
                first_has_read.set()
                assert second_has_stored.wait(300)

    first_has_read, second_has_stored = threading.Event(), threading.Event()
    samples = cache_of(folder, tmp_path / "store", reader=SlowReader())
    first = threading.Thread(target=read_all, args=(samples, np.array([3])))
    first.start()
    assert first_has_read.wait(300)
    change(folder / "3.raw", bytes([33]) * 8)
    assert read_all(samples, np.array([3])) == ([33], {})
    second_has_stored.set()
    first.join()
    assert read_all(samples, np.array([3])) == ([33], {})
    samples.close()
    assert read_all(cache_of(folder, tmp_path / "store"), np.array([3])) == ([33], {})


# --- closed, copied, forked -----------------------------------------------------------------------------------------


def test_a_closed_cache_opens_again(tmp_path, folder):
    samples = cache_of(folder, tmp_path / "store")
    read_all(samples, np.arange(5))
    samples.close()
    fill_store(samples, 2)
    samples.close()
    assert read_all(samples) == (list(range(20)), {})
    assert isinstance(samples._store, PackedStore)


def test_finishing_in_the_background_fails_and_the_next_run_succeeds(tmp_path, folder, monkeypatch):
    samples = cache_of(folder, tmp_path / "store")
    monkeypatch.setattr(packed_writer, "save_array", lambda *_: (_ for _ in ()).throw(DestinationError("disk full")))
    with pytest.warns(UserWarning, match="no longer filled.*disk full"):
        finish_all(samples)
    with pytest.raises(DestinationError, match="disk full"):
        samples.finish()
    assert read_all(samples) == (list(range(20)), {})
    monkeypatch.undo()
    samples.close()
    samples = cache_of(folder, tmp_path / "store")
    assert len(samples.missing()) == 0
    samples.finish()
    PackedStore(tmp_path / "store").verify()


def fork_while_filling(folder, directory):
    """Fork while another thread stores rows. The children read everything, and the parent finishes."""
    samples = cache_of(folder, directory)
    filling = threading.Thread(target=lambda: [read_all(samples, np.array([i])) for i in range(20)])
    filling.start()
    pids = []
    while filling.is_alive() or not pids:
        if not (pid := os.fork()):
            signal.alarm(300)
            os._exit(read_all(samples) != (list(range(20)), {}))
        pids.append(pid)
    filling.join()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
    samples.finish()
    PackedStore(directory).verify()
    say(len(pids))


def test_children_forked_at_any_moment_read_and_do_not_write(tmp_path, folder):
    assert int(output(fork_while_filling, folder, tmp_path / "store")[0]) >= 1
    assert np.load(tmp_path / "store" / "x.npy")[:, 0].tolist() == list(range(20))


# --- Ctrl-C in a real fit -------------------------------------------------------------------------------------------


def make_images(folder):
    from PIL import Image

    for number in range(40):
        path = folder / f"{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    return folder


def fit_until_ctrl_c(folder, directory):
    """Train with a cache, and press Ctrl-C in the fourth batch."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
    import keras

    import keras_oocore as ko

    class PressCtrlC(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    def slow(x, y, rng):  # Ctrl-C comes while threads are making batches
        time.sleep(0.1)
        return x, y

    sequence = ko.ImageFolderSequence(
        folder, image_size=(4, 4), batch_size=4, cache=directory, seed=0, max_queue_size=1, workers=2, transform=slow
    )
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    say("begins")
    model.fit(sequence, epochs=3, verbose=0, callbacks=[PressCtrlC()])
    say("never comes here")


@pytest.mark.one_backend
def test_ctrl_c_in_fit_keeps_the_stored_rows(tmp_path):
    from keras_oocore.images.reader import ImageReader

    folder, directory = make_images(tmp_path / "images"), tmp_path / "store"
    said, complaints = output(fit_until_ctrl_c, folder, directory, returncode=-signal.SIGINT)
    assert said == "begins\n"
    assert "\nKeyboardInterrupt" in complaints  # TensorFlow may add something of its own
    assert complaints.count("Traceback") == 1
    manifest = Manifest.from_directory(folder)
    samples = cached(FileSamples(manifest, ImageReader((4, 4))), directory, keep_errors=False, overwrite=False)
    assert 0 < len(samples.missing()) <= 40 - 16
    fill_store(samples, 2)
    store, out = PackedStore(directory), np.empty((40, 4, 4, 3), np.uint8)
    store.read("x", np.arange(40), out)
    assert out[:, 2, 2, 0].tolist() == [int(Path(name).stem) for name in manifest.filenames]
    store.verify()


if __name__ == "__main__":
    run_as_script(globals())
