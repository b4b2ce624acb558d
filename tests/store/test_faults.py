"""Kills and power cuts at any step: a store never returns a wrong row, and the next run finishes it.

The child processes run this file as a script.
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
from pathlib import Path

import numpy as np
import pytest
from child_of_file import child, output, run_as_script, say
from raw_files import RawReader, cache_of, change, make_files, read_all

from keras_oocore.core import locks
from keras_oocore.core.errors import DataError
from keras_oocore.sources.cache import open_samples
from keras_oocore.sources.fill import fill_store
from keras_oocore.store import row_files, synced
from keras_oocore.store.format import MISSING, UNREADABLE, WHOLE
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

FIELDS = {"x": ((3,), "int64"), "y": ((), "U5")}
NUM_ROWS, BAD_ROW, REASON = 5, 2, "cut short"


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


# --- a kill at any step ---------------------------------------------------------------------------------------------


class Doom:
    """Kills this process at a step: before a call that changes the disk, or in the middle of a write.

    `fsync` is no step, since it changes nothing here: a kill before it leaves the same files as a kill after it.

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
        for name in ("replace", "link", "unlink", "rename"):
            setattr(os, name, self.doomed(getattr(os, name)))

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
        for data, offset in self.pending.pop(os.fstat(descriptor).st_ino, ()):
            self.strike()
            os.pwrite(descriptor, data, offset)


def kill_at_steps(folder, stride, all_late, *names):
    """Run scenarios, killing them some steps later each time until they finish; print how many steps they had at least.

    Args:
        folder: A new folder.
        stride: How many steps later. The first steps are all tried.
        all_late: Files whose writes a power cut undoes, separated by spaces; a comma separates cases.
        names: Names of scenarios, which are run in each case.
    """
    os.fsync = os.fdatasync = lambda _: None  # a kill needs none, and Doom plays the power cut
    deaths = {}
    for late, name in itertools.product(all_late.split(","), names):
        scenario = SCENARIOS[name]
        base = Path(folder, late, name)
        base.mkdir(parents=True)
        scenario.prepare(base / "store")
        num_steps = 0
        for last_step in itertools.chain(range(1, 5), itertools.count(5, stride)):
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
                print(f"{name!r}, late {late!r}, step {last_step}", file=sys.stderr)
                raise
            shutil.rmtree(directory)
            if died == 0:
                break
            num_steps = last_step
        deaths[f"{late}: {name}"] = num_steps
    say(json.dumps(deaths))


STRIDES = pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.soak)])


@STRIDES
def test_a_kill_at_any_step(tmp_path, stride):
    deaths = json.loads(output(kill_at_steps, tmp_path, stride, "", *SCENARIOS)[0])
    assert len(deaths) == len(SCENARIOS)
    assert min(deaths.values()) >= 2, deaths
    assert sum(deaths.values()) >= 150, deaths


@STRIDES
def test_a_power_cut_at_any_step(tmp_path, stride):
    """The data or the states are on disk only after a sync; all other files are on disk at once."""
    late = "x.npy y.npy source.npy,rows.npy"
    names = "half a store", "half of another store overwritten", "a repaired file"
    deaths = json.loads(output(kill_at_steps, tmp_path, stride, late, *names)[0])
    assert len(deaths) == 6
    assert min(deaths.values()) >= 10, deaths


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


# --- soak -----------------------------------------------------------------------------------------------------------


def fill_at_some_pace(folder, directory, how, seed):
    """Fill a cache by `pack` or sample by sample in threads, at a random pace."""
    synced.SYNC_SECONDS = 0.005
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
@pytest.mark.timeout(7200)
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
    run_as_script(globals())
