"""Checkpoints that tell their generation, and child processes that write them and are killed at every step."""

import io
import itertools
import json
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from keras_oocore.core import files, locks
from keras_oocore.core.errors import DestinationError
from keras_oocore.training.state import checkpoint
from keras_oocore.training.state.checkpoints import exclusive


def say(word):
    print(word, flush=True)


def content(generation):
    """Return state and arrays that identify the generation."""
    state = {"generation": generation, "history": [0.1 * generation, None, "ü"]}
    return state, {"kernel": np.full((2, 3), generation, np.float32), "a/b.c": np.arange(9) + generation}


def has_content(checkpoint, generation):
    """Check that a checkpoint is bit-identical to the one of this generation, and return `True`."""
    state, arrays = content(generation)
    assert checkpoint.state == state
    assert_arrays(checkpoint.arrays, arrays)
    return True


def assert_arrays(arrays, expected):
    assert [*arrays] == [*expected]
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape), name
        assert arrays[name].tobytes() == array.tobytes(), name


def filled(directory, num_checkpoints, keep=9):
    """Write this many checkpoints, and return their paths."""
    with exclusive(directory, keep) as saved:
        return [saved.save(*content(generation)) for generation in range(num_checkpoints)]


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != locks.LOCK_NAME)


def named(*numbers):
    return [f"checkpoint-{number:08d}" for number in numbers]


# --- children ---------------------------------------------------------------------------------------------------------


def save_beyond_the_limit(directory):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    with exclusive(directory) as saved:
        try:
            saved.save({}, {"small": np.zeros(1), "large": np.zeros(10**5)})
        except DestinationError as error:
            say(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # for `make coverage`


def hold(directory):
    """Write a checkpoint, and keep the directory locked until a line is read."""
    with exclusive(directory) as saved:
        saved.save(*content(0))
        say("holding")
        sys.stdin.readline()


class Kill:
    """Kills this process at one step: before a call that changes the disk, after the last such call, or in a write.

    Args:
        last_step: Number of the step.
        power_cut: Whether to undo what was not synced: contents of files, their names, and renames.
    """

    def __init__(self, last_step, power_cut):
        self.last_step, self.power_cut, self.step = last_step, power_cut, 0
        self.contents = {}  # inode -> descriptor
        self.files, self.renames = [], []  # (inode of the folder, function that undoes it)
        self.open_, self.rename_, self.unlink_ = open, os.rename, os.unlink
        checkpoint.open = files.open = self.open
        os.rename, os.fsync = self.rename, self.sync
        for name in ("mkdir", "rmdir", "replace", "unlink", "link"):
            setattr(os, name, self.counted(getattr(os, name)))

    def reached(self):
        self.step += 1
        return self.step == self.last_step

    def count(self):
        if self.reached():
            self.end_process()

    def end_process(self):
        self.cut_power()
        os.kill(os.getpid(), signal.SIGKILL)

    def cut_power(self):
        if self.power_cut:
            for descriptor in self.contents.values():
                os.ftruncate(descriptor, 0)
            for _, undo in [*self.files, *self.renames[::-1]]:
                undo()

    def counted(self, function):
        def call(*arguments, **options):
            self.count()
            return function(*arguments, **options)

        return call

    def open(self, path, mode):
        self.count()
        file = self.open_(path, mode)
        if mode == "xb":
            folder = os.open(Path(path).parent, os.O_RDONLY)
            undo = lambda: self.unlink_(Path(path).name, dir_fd=folder)  # noqa: E731
            self.files.append((os.fstat(folder).st_ino, undo))
            self.contents[os.fstat(file.fileno()).st_ino] = os.dup(file.fileno())
            file.close()
            file = io.BufferedWriter(CountedFile(path, self))
        return file

    def rename(self, source, target):
        self.count()
        self.rename_(source, target)
        self.renames.append((os.stat(Path(target).parent).st_ino, lambda: self.rename_(target, source)))

    def sync(self, descriptor):
        self.count()
        inode = os.fstat(descriptor).st_ino
        self.contents.pop(inode, None)
        self.files = [entry for entry in self.files if entry[0] != inode]
        self.renames = [entry for entry in self.renames if entry[0] != inode]


class CountedFile(io.FileIO):
    def __init__(self, path, kill):
        super().__init__(path, "r+b")
        self.kill = kill

    def write(self, data):
        self.kill.count()
        if self.kill.reached():
            super().write(bytes(data)[: len(data) // 2])
            self.kill.end_process()
        return super().write(data)


def save_another(directory, keep, num_before):
    with warnings.catch_warnings(), exclusive(directory, keep) as saved:
        warnings.simplefilter("ignore")
        saved.latest()
        saved.save(*content(num_before))


# name: (keep, number of checkpoints before, number of damaged ones)
SCENARIOS = {
    "the first": (1, 0, 0),
    "one is kept": (1, 1, 0),
    "two are kept": (2, 2, 0),
    "the last is damaged": (1, 2, 1),
}


def check_after_kill(directory, keep, num_before, damaged):
    """Check that all checkpoints are complete and that saving works, and return the generation of the newest."""
    with warnings.catch_warnings(record=True) as caught, exclusive(directory, keep) as saved:
        warnings.simplefilter("always")
        assert set(names(directory)) <= set(named(*range(num_before + 1)))
        latest = saved.latest()
        generation = latest.state["generation"] if latest else -1
        assert latest is None or has_content(latest, generation)
        assert len(caught) == (damaged and generation != num_before)
        for name in names(directory):  # no checkpoint is partly removed
            assert sorted(os.listdir(directory / name)) == ["arrays.npz", "checkpoint.json"]
        saved.save(*content(77))
        assert has_content(saved.latest(), 77)
    good = 1 + (latest is not None)
    assert len(names(directory)) == (keep if good >= keep else good)
    return generation


def kill_at_every_step(folder, power_cut):
    """Kill a save at each step in turn until it ends, and print the generation found after each kill."""
    os.fsync = lambda _: None  # a kill needs none, and `Kill` simulates the power cut
    found = {}
    for scenario, (keep, num_before, damaged) in SCENARIOS.items():
        before, directory = folder / scenario, folder / "tried"
        paths = filled(before, num_before, keep + damaged)
        if damaged:
            (paths[-1] / "arrays.npz").write_bytes((paths[-1] / "arrays.npz").read_bytes()[:-1])
        found[scenario], died = [], None
        for last_step in itertools.count(1):
            shutil.copytree(before, directory)
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    kill = Kill(last_step, power_cut)
                    save_another(directory, keep, num_before)
                    kill.cut_power()  # a checkpoint that `save` returned is on disk
                    code = 0
                finally:
                    sys.excepthook(*sys.exc_info()) if code else None
                    os._exit(code)
            died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert died in (0, -signal.SIGKILL), (scenario, last_step)
            try:
                found[scenario].append(check_after_kill(directory, keep, num_before, damaged))
            except BaseException:
                print(f"{scenario!r}, step {last_step}", file=sys.stderr)
                raise
            shutil.rmtree(directory)
            if died == 0:
                break
    say(json.dumps(found))
