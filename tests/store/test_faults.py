"""Kills, power cuts, full disks and other processes: a store never returns a wrong row, and the next run finishes it.

The child processes run this file as a script: `python tests/store/test_faults.py FUNCTION ARGUMENT ...`.
"""

import contextlib
import itertools
import json
import os
import random
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

from keras_oocore.core import locks
from keras_oocore.core.errors import BusyError, DataError, DestinationError, SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources import cached as readers_cached
from keras_oocore.sources.cache import cached, open_samples
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.fill import fill_store
from keras_oocore.store import row_files
from keras_oocore.store import writer as packed_writer
from keras_oocore.store.format import MISSING, UNREADABLE, WHOLE
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

FIELDS = {"x": ((3,), "int64"), "y": ((), "U5")}
NUM_ROWS, BAD_ROW, REASON = 5, 2, "cut short"
TIMEOUT_SECONDS = 600  # of a child process, far beyond its work


def child(function, *arguments, **options):
    """A process that runs a function of this file; it ends after `TIMEOUT_SECONDS` in any case."""
    command = [sys.executable, __file__, function.__name__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def output(function, *arguments, returncode=0):
    """Run a function of this file in a process, and return what it prints."""
    with child(function, *arguments, stderr=subprocess.PIPE) as process:
        said, complaints = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == returncode, complaints
    return said, complaints


def say(word):
    print(word, flush=True)


# --- rows of a store, whose values show which generation wrote them -------------------------------------------------


def rows_of(generation):
    rows = np.arange(NUM_ROWS)
    x = 100 * generation + rows[:, None] * 10 + np.arange(3)
    return {"x": x, "y": np.array([f"{generation}-{row}" for row in rows], "U5")}


def fill(directory, generation, overwrite=False, stop=None):
    """Write the missing rows, two at a time and the last ones first, and finish; or close after `stop` of them."""
    arrays = rows_of(generation)
    writer = PackedStoreWriter(directory, FIELDS, NUM_ROWS, {"generation": generation}, overwrite)
    missing = np.flatnonzero(writer.states == MISSING)[::-1][:stop]
    for rows in np.split(missing, range(2, len(missing), 2)):
        good = rows[rows != BAD_ROW]
        writer.write(good, {name: values[good] for name, values in arrays.items()})
        if BAD_ROW in rows:
            writer.mark_unreadable(np.array([BAD_ROW]), REASON, {"y": arrays["y"][[BAD_ROW]]})
        writer.sync()
    return writer.finish() if stop is None else writer.close()


def check(store, generation):
    """Every row that counts belongs to this generation."""
    for name, values in rows_of(generation).items():
        rows = np.flatnonzero(store.states == WHOLE)
        out = np.zeros((len(rows), *values.shape[1:]), values.dtype)
        store.read(name, rows, out)
        np.testing.assert_array_equal(out, values[rows])
    unreadable = np.flatnonzero(store.states == UNREADABLE).tolist()
    assert unreadable in ([], [BAD_ROW])
    assert [store.unreadable[row] for row in unreadable] == [REASON] * len(unreadable)


def check_all(directory, generation):
    store = PackedStore(directory)
    assert store.record.fingerprint == {"generation": generation}
    assert store.states.tolist() == [1, 1, 2, 1, 1]
    check(store, generation)
    store.verify()


class Filling:
    """A store that is filled by hand."""

    def __init__(self, old=None, stop=None, overwrite=False):
        self.old, self.stop, self.overwrite = old, stop, overwrite
        self.new = 2 if overwrite else 1

    def prepare(self, directory):
        if self.old is not None:
            fill(directory, self.old, stop=self.stop)

    def run(self, directory):
        fill(directory, self.new, self.overwrite)

    def check(self, directory):
        with contextlib.suppress(DataError):
            check_all(directory, PackedStore(directory).record.fingerprint["generation"])
        arguments = directory, FIELDS, NUM_ROWS, {"generation": self.new}
        try:
            writer = PackedStoreWriter(*arguments)
        except DataError:
            assert self.overwrite  # killed before the old rows were removed: refused without overwrite=True
            with pytest.raises(DataError, match="generation was 1, is 2"):
                PackedStoreWriter(*arguments)
            writer = PackedStoreWriter(*arguments, overwrite=True)
        check(writer, self.new)
        writer.close()
        fill(directory, self.new)
        check_all(directory, self.new)


# --- samples in files, through a cache ------------------------------------------------------------------------------


class RawReader:
    """A file of 8 bytes."""

    shape, dtype, options = (8,), np.dtype(np.uint8), {"reader": "raw"}

    def read_into(self, path, out):
        content = np.fromfile(path, np.uint8)
        if len(content) != 8:
            raise ValueError(f"{len(content)} bytes")
        out[...] = content


def make_files(folder, num_files):
    folder.mkdir()
    for number in range(num_files):
        (folder / f"{number}.raw").write_bytes(bytes([number]) * 8)
    return folder


def change(path, content):
    """Change the content of a file, and its time."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def samples_of(folder, reader=None):
    names = np.array(sorted((path.name for path in Path(folder).iterdir()), key=lambda name: int(name[:-4])))
    return FileSamples(Manifest(names, np.arange(len(names)), None, folder), reader or RawReader())


def cache_of(folder, directory, keep_errors=True, overwrite=False, reader=None):
    return cached(samples_of(folder, reader), directory, keep_errors, overwrite)


def read_all(samples, order=None):
    """`(first byte of each sample, errors)`."""
    order = np.arange(len(samples)) if order is None else order
    out = np.full((len(order), *samples.spec.shape), 255, samples.spec.dtype)
    errors = {}
    for start in range(0, len(order), 4):  # as many at a time as a loader's thread takes
        part = slice(start, start + 4)
        errors |= {start + row: error for row, error in samples.read(order[part], out[part]).items()}
    good = [row for row in range(len(order)) if row not in errors]
    assert (out[good] == out[good][:, :1]).all()
    return out[:, 0].tolist(), errors


def finish_all(samples):
    """Read everything, and wait for the thread that finishes the store, even if it fails."""
    read_all(samples)
    samples._finishing.join()


class Repaired:
    """A finished cache with a file that was unreadable and has been repaired."""

    def prepare(self, directory):
        folder = make_files(directory.parent / "files", 4)
        change(folder / "2.raw", b"short")
        samples = cache_of(folder, directory)
        read_all(samples)
        samples.finish()
        samples.close()
        change(folder / "2.raw", bytes([2]) * 8)

    def run(self, directory):
        samples = cache_of(directory.parent / "files", directory)
        read_all(samples)
        samples.finish()
        samples.close()

    def check(self, directory):
        self.run(directory)
        store, out = PackedStore(directory), np.empty((4, 8), np.uint8)
        store.read("x", np.arange(4), out)
        assert out.tolist() == [[number] * 8 for number in range(4)]
        assert store.unreadable == {}
        assert store.states.tolist() == [1] * 4
        store.verify()
        assert open_samples(directory)[1].labels.tolist() == [0, 1, 2, 3]


SCENARIOS = {
    "a new store": Filling(),
    "half a store": Filling(old=1, stop=2),
    "a store with all rows that is not finished": Filling(old=1, stop=5),
    "another store overwritten": Filling(old=1, overwrite=True),
    "half of another store overwritten": Filling(old=1, stop=3, overwrite=True),
    "a repaired file": Repaired(),
}


# --- a kill at every step -------------------------------------------------------------------------------------------


class Doom:
    """Kills this process at a step: before a call that changes the disk, or in the middle of a write.

    Args:
        last_step: The number of the step.
        late: Files whose writes a power cut undoes unless they were synced. Writes to other files are never lost.
    """

    def __init__(self, last_step, late):
        self.last_step, self.step = last_step, 0
        self.late, self.pending = late, {}
        self.really_write = row_files.pwrite
        row_files.pwrite = self.write
        os.fdatasync = self.sync
        for name in ("replace", "link", "unlink", "rename", "fsync"):
            setattr(os, name, self.doomed((lambda *_: None) if name == "fsync" else getattr(os, name)))

    def reached(self):
        self.step += 1
        return self.step == self.last_step

    def strike(self):
        if self.reached():
            os.kill(os.getpid(), signal.SIGKILL)

    def doomed(self, function):
        def call(*arguments, **options):
            self.strike()
            return function(*arguments, **options)

        return call

    def write(self, file, data, offset):
        self.strike()
        if Path(file.name).name in self.late:
            self.pending.setdefault(os.fstat(file.fileno()).st_ino, []).append((bytes(data), offset))
        elif self.reached():
            self.really_write(file, data[: len(data) // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            self.really_write(file, data, offset)
        return len(data)

    def sync(self, descriptor):
        self.strike()
        for data, offset in self.pending.pop(os.fstat(descriptor).st_ino, ()):
            os.pwrite(descriptor, data, offset)


def kill_at_every_step(folder, late, *names):
    """Run scenarios, killing them one step later each time until they finish; print the number of kills."""
    os.fsync = os.fdatasync = lambda _: None  # a kill needs none, and Doom plays the power cut
    deaths = {}
    for name in names:
        scenario = SCENARIOS[name]
        base = Path(folder, name)
        base.mkdir(parents=True)
        scenario.prepare(base / "store")
        for last_step in itertools.count(1):
            directory = base / "tried"
            if (base / "store").exists():
                shutil.copytree(base / "store", directory)
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    Doom(last_step, late.split())
                    scenario.run(directory)
                    code = 0
                finally:
                    sys.excepthook(*sys.exc_info()) if code else None
                    os._exit(code)
            died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert died in (0, -signal.SIGKILL), (name, last_step)
            try:
                scenario.check(directory)
                leftovers = [path.name for path in directory.glob(".keras_oocore-*")]
                assert leftovers == [locks.LOCK_NAME]
            except BaseException:
                print(f"{name!r}, step {last_step}", file=sys.stderr)
                raise
            shutil.rmtree(directory)
            if died == 0:
                break
        deaths[name] = last_step - 1
    say(json.dumps(deaths))


def deaths_of(folder, late, *names):
    deaths = json.loads(output(kill_at_every_step, folder, late, *names)[0])
    assert deaths.keys() == set(names)
    return deaths


def test_a_kill_at_any_step(tmp_path):
    deaths = deaths_of(tmp_path, "", *SCENARIOS)
    assert min(deaths.values()) >= 8, deaths
    assert sum(deaths.values()) >= 200, deaths


@pytest.mark.parametrize("late", ["x.npy y.npy source.npy", "rows.npy"], ids=["data", "states"])
def test_a_power_cut_at_any_step(tmp_path, late):
    """Files in `late` are on disk only after a sync; all others are on disk at once."""
    deaths = deaths_of(tmp_path, late, "half a store", "half of another store overwritten", "a repaired file")
    assert min(deaths.values()) >= 20, deaths


# --- two processes --------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(readers_cached, "RETRY_SECONDS", 0)


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
    met = set()
    with child(fill_slowly, folder, tmp_path / "store") as process:
        while True:
            ended = process.poll() is not None
            try:
                store = PackedStore(tmp_path / "store")
                break
            except DataError as error:
                met.add("unfinished" if "is unfinished" in str(error) else str(error).partition(":")[0][-21:])
            assert not ended, met
    assert met <= {"unfinished", "holds no packed store"}
    out = np.empty((20, 8), np.uint8)
    store.read("x", np.arange(20), out)
    assert out[:, 5].tolist() == list(range(20))
    store.verify()


def test_rows_are_read_by_threads_while_others_write_them(tmp_path):
    numbers = np.arange(3000)
    writer = PackedStoreWriter(tmp_path, {"x": ((50,), "int64")}, 3000, {})
    wrong, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            rows = np.flatnonzero(writer.states == WHOLE)
            out = np.empty((len(rows), 50), np.int64)
            writer.read("x", rows, out)
            wrong.extend(rows[(out != rows[:, None]).any(axis=1)].tolist())

    def write(part):
        for rows in np.array_split(part, 40):
            writer.write(rows, {"x": np.repeat(rows[:, None], 50, axis=1)})

    order = np.random.default_rng(0).permutation(numbers)
    looking = threading.Thread(target=look)
    writing = [threading.Thread(target=write, args=(part,)) for part in np.array_split(order, 3)]
    for thread in (looking, *writing):
        thread.start()
    for thread in writing:
        thread.join()
    stop.set()
    looking.join()
    assert wrong == []
    writer.finish().verify()


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
    samples.finish()
    samples.close()

    seen.clear()
    samples = cached(source, tmp_path / "store", True, False)
    errors = read_all(samples)[1]
    assert (seen, [errors[row].reason for row in (3, 7)]) == ([], ["ValueError: 5 bytes", "No such file or directory"])
    samples.close()

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
    with pytest.raises(
        DataError, match=r"1 files changed while they were read, or .*, such as '.*3\.raw'. Call `pack` again"
    ):
        fill_store(samples, 2)
    assert fill_store(samples, 2) == {}
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
    assert fill_store(samples, 2) == {}
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

    sequence = ko.ImageFolderSequence(
        folder, image_size=(4, 4), batch_size=4, cache=directory, seed=0, max_queue_size=1
    )
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    say("begins")
    model.fit(sequence, epochs=3, verbose=0, callbacks=[PressCtrlC()])
    say("never comes here")


@pytest.mark.backend
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


# --- soak -----------------------------------------------------------------------------------------------------------


def fill_at_some_pace(folder, directory, how, seed):
    """Fill a cache by `pack` or sample by sample in threads, at a random pace."""
    packed_writer.SYNC_SECONDS = 0.005
    rng = random.Random(seed)

    class PacedReader(RawReader):
        def read_into(self, path, out):
            if pause:
                time.sleep(rng.random() * pause)
            super().read_into(path, out)

    pause = rng.choice([0, 0.001, 0.003])
    samples = cache_of(folder, directory, reader=PacedReader())
    say("opened")
    if how == "pack":
        fill_store(samples, 2)
    else:
        orders = [np.random.default_rng(seed + i).permutation(len(samples)) for i in range(2)]
        threads = [threading.Thread(target=read_all, args=(samples, order)) for order in orders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        samples.finish()


@pytest.mark.soak
def test_200_kills_at_random_moments(tmp_path):
    """Each store is filled by several children. After each kill, every row that counts is right."""
    rng = random.Random(0)
    folder = make_files(tmp_path / "files", 256)
    kills = stores = 0
    while kills < 200:
        directory, num_counted, how = tmp_path / f"store {stores}", 0, rng.choice(["pack", "cache"])
        while True:
            with child(fill_at_some_pace, folder, directory, how, stores, stderr=subprocess.DEVNULL) as process:
                if rng.random() < 0.9:
                    process.stdout.readline()  # else it may be killed while the store is made
                    patience = rng.random() * 0.1
                else:
                    patience = rng.random() * 0.4
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
                process.kill()
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL
            kills += 1
            if (directory / "rows.npy").exists():
                states, rows = np.load(directory / "rows.npy"), np.load(directory / "x.npy")
                whole = np.flatnonzero(states == WHOLE)
                assert (rows[whole] == whole[:, None]).all()
                assert len(whole) >= num_counted
                num_counted = len(whole)
        store = PackedStore(directory)
        store.verify()
        out = np.empty((256, 8), np.uint8)
        store.read("x", np.arange(256), out)
        assert (out == np.arange(256)[:, None]).all()
        assert not [path for path in directory.glob(".keras_oocore-*") if path.name != locks.LOCK_NAME]
        stores += 1
    assert stores >= 3


if __name__ == "__main__":
    signal.alarm(TIMEOUT_SECONDS)
    globals()[sys.argv[1]](*map(lambda a: Path(a) if "/" in a else int(a) if a.isdigit() else a, sys.argv[2:]))
