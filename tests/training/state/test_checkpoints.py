"""Checkpoints whose writer is killed, robbed of power or disk, or has a rival; whose files are cut, flipped or missing.

Run as a script this file is the child process: `python tests/test_checkpoints.py FUNCTION ARGUMENT ...`.
"""

import errno
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
import zipfile
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import keras_oocore
from keras_oocore.core import files, locks
from keras_oocore.core.errors import BusyError, DataError, DestinationError, MissingExtraError, OptionError
from keras_oocore.training.state import checkpoints
from keras_oocore.training.state.checkpoints import held
from keras_oocore.training.state.plain_values import NotPlainError, named_dtype

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def child(function, *arguments, **options):
    """A process that runs a function of this file."""
    command = [sys.executable, __file__, function.__name__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def output(function, *arguments):
    """What such a process prints."""
    with child(function, *arguments, stderr=subprocess.PIPE) as process:
        said, complaints = process.communicate()
    assert process.returncode == 0, complaints
    return said


def say(word):
    print(word, flush=True)


def of(generation):
    """State and arrays that tell the generation."""
    state = {"generation": generation, "history": [0.1 * generation, None, "ü"]}
    return state, {"kernel": np.full((2, 3), generation, np.float32), "a/b.c": np.arange(9) + generation}


def is_of(checkpoint, generation):
    """That a checkpoint is the one of that generation, to the bit."""
    state, arrays = of(generation)
    assert checkpoint.state == state
    assert_arrays(checkpoint.arrays, arrays)
    return True


def assert_arrays(arrays, expected):
    assert [*arrays] == [*expected]
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape), name
        assert arrays[name].tobytes() == array.tobytes(), name


def filled(directory, num_checkpoints, keep=9):
    """The paths of that many checkpoints."""
    with held(directory, keep) as these:
        return [these.save(*of(generation)) for generation in range(num_checkpoints)]


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != locks.LOCK_NAME)


def named(*numbers):
    return [f"checkpoint-{number:08d}" for number in numbers]


# --- written and read -----------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back(tmp_path):
    with held(tmp_path / "deep" / "er") as these:
        assert these.latest() is None
        path = these.save(*of(0))
        assert path == tmp_path / "deep" / "er" / "checkpoint-00000000"
        assert is_of(these.latest(), 0)
        assert these.save(*of(1)).name == "checkpoint-00000001"
    with held(tmp_path / "deep" / "er") as these:
        latest = these.latest()
    assert is_of(latest, 1)
    assert latest.path == path.with_name("checkpoint-00000001")
    assert (latest.number, latest.written_by) == (1, keras_oocore.__version__)


ARRAYS = {
    "": np.array(5.0),
    "a/../b.npy": np.zeros((0, 3), ">i2"),
    "ü\n\udcff": np.array(["a", "ünï"]),
    "a0": np.arange(6, dtype="f8").reshape(2, 3).T,
    "file": np.arange(10)[::3],
    "arrays": np.array(["2020", "NaT"], "M8[D]"),
    "allow_pickle": np.array([b"a\0b", b""]),
    "longlong": np.array([1], np.longlong),
    "nan": np.array([0x7FF0000000000001, 0x8000000000000000], "u8").view("f8"),
    **{
        name: np.arange(6).reshape(2, 3).astype(named_dtype(name)).T
        for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4")
    },
    "bfloat16, no axis": np.array(3, named_dtype("bfloat16")),
}


def test_any_dtype_under_any_name(tmp_path):
    with held(tmp_path) as these:
        these.save({"nan": [float("nan"), -0.0], "b": 1, "a": 2}, ARRAYS)
        latest = these.latest()
        assert_arrays(latest.arrays, ARRAYS)
        assert latest.arrays["longlong"].dtype.char == "q"
        assert [*latest.state] == ["nan", "b", "a"]
        assert str(latest.state["nan"]) == "[nan, -0.0]"
        these.save({}, {})
        assert (these.latest().state, these.latest().arrays) == ({}, {})


def test_numpy_and_json_alone_open_it(tmp_path):
    bfloat16 = np.array([1, 2], named_dtype("bfloat16"))
    with held(tmp_path) as these:
        path = these.save({"epoch": 3}, {"w": np.eye(2), "b": bfloat16})
    assert names(path) == ["arrays.npz", "checkpoint.json"]
    with np.load(path / "arrays.npz", allow_pickle=False) as npz:
        assert npz.files == ["a0", "a1"]
        assert npz["a0"].tolist() == [[1, 0], [0, 1]]
        assert npz["a1"].dtype == np.uint16
        assert npz["a1"].tobytes() == bfloat16.tobytes()
    record = json.loads((path / "checkpoint.json").read_text())
    checksum = record.pop("crc32")
    assert checksum == zlib.crc32(json.dumps(record).encode())
    assert record == {
        "format": 1,
        "keras_oocore": keras_oocore.__version__,
        "arrays": {"w": {"dtype": "<f8", "shape": [2, 2]}, "b": {"dtype": "bfloat16", "shape": [2]}},
        "state": {"epoch": 3},
    }


def by_hand(path, **changes):
    """A checkpoint of format 1 as every version of keras_oocore should read it."""
    path.mkdir(parents=True)
    np.savez(path / "arrays.npz", a0=np.float32([1, 2]))
    described = {"w": {"dtype": "<f4", "shape": [2]}}
    record = {"format": 1, "keras_oocore": "0.2.0", "arrays": described, "state": {"epoch": 3}, **changes}
    record["crc32"] = zlib.crc32(json.dumps(record).encode())
    (path / "checkpoint.json").write_text(json.dumps(record))


def test_format_1_stays_readable(tmp_path):
    by_hand(tmp_path / "checkpoint-00000041")
    with held(tmp_path) as these:
        latest = these.latest()
        assert (latest.number, latest.written_by, latest.state) == (41, "0.2.0", {"epoch": 3})
        assert_arrays(latest.arrays, {"w": np.float32([1, 2])})
        assert these.save(*of(0)).name == "checkpoint-00000042"


def test_a_newer_format_is_not_taken_for_damage(tmp_path):
    filled(tmp_path, 1)
    by_hand(tmp_path / "checkpoint-00000007", format=2, keras_oocore="9.1", arrays=None)
    with (
        held(tmp_path) as these,
        pytest.raises(
            DataError, match=r"7' has format 2, written by keras_oocore 9\.1, .* reads format 1\. .*-U keras_oo"
        ),
    ):
        these.latest()
    assert names(tmp_path) == named(0, 7)


def test_without_ml_dtypes_nothing_is_called_damaged(tmp_path, monkeypatch):
    with held(tmp_path) as these:
        these.save({}, {"w": np.zeros(2, named_dtype("bfloat16"))})
        monkeypatch.setitem(sys.modules, "ml_dtypes", None)
        with pytest.raises(MissingExtraError, match="pip install ml_dtypes"):
            these.latest()


@pytest.mark.parametrize("array", [np.array([None]), np.zeros(2, "f4,i4")])
def test_what_npz_would_pickle_is_refused(tmp_path, array):
    with held(tmp_path) as these, pytest.raises(NotPlainError, match=r"array 'odd' should hold .* Received: dtype"):
        these.save({}, {"odd": array})
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot sync a folder")
def test_the_name_of_a_new_directory_is_on_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with held(tmp_path / "new"):
        assert synced == [tmp_path.stat().st_ino]


def test_where_a_directory_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with held("~/a") as of_home, held(Path("b")) as of_here:
        assert (of_home.directory, of_here.directory) == (tmp_path / "a", tmp_path / "b")
        monkeypatch.chdir("/")
        of_here.save(*of(0))
    assert names(tmp_path / "b") == named(0)


# --- which ones stay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, np.int64(3)])
def test_the_latest_stay(tmp_path, keep):
    stayed = []
    with held(tmp_path, keep) as these:
        for generation in range(5):
            these.save(*of(generation))
            stayed.append(names(tmp_path))
    assert stayed == [named(*range(max(0, i + 1 - keep), i + 1)) for i in range(5)]


def test_only_those_known_to_be_good_count(tmp_path):
    filled(tmp_path, 4)
    with held(tmp_path, keep=2) as these:
        these.save(*of(4))  # `latest` was not asked, so that the older ones may be damaged
        assert names(tmp_path) == named(0, 1, 2, 3, 4)
        these.save(*of(5))
        assert names(tmp_path) == named(4, 5)


@pytest.mark.parametrize(("keep", "after_one", "after_two"), [(1, [4], [5]), (2, [1, 2, 3, 4], [4, 5])])
def test_damaged_ones_take_no_good_ones_place(tmp_path, keep, after_one, after_two):
    for path in filled(tmp_path, 4)[2:]:
        (path / "arrays.npz").unlink()
    with held(tmp_path, keep) as these:
        with pytest.warns(UserWarning, match="is damaged"):
            assert is_of(these.latest(), 1)
        assert these.save(*of(9)).name == "checkpoint-00000004"
        assert names(tmp_path) == named(*after_one)
        these.save(*of(10))
        assert names(tmp_path) == named(*after_two)


def test_other_names_are_left_alone(tmp_path):
    others = [
        "checkpoint-7",
        "checkpoint-000000012",
        "checkpoint-0000000x",
        "checkpoint--0000001",
        "best",
        "Checkpoint-00000099",
    ]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-notes.txt").write_text("mine")
    filled(tmp_path, 3, keep=1)
    assert names(tmp_path) == sorted([*others, "checkpoint-notes.txt", *named(2)])


def test_numbers_grow_beyond_eight_digits(tmp_path):
    by_hand(tmp_path / "checkpoint-99999999")
    with held(tmp_path, keep=1) as these:
        assert these.save(*of(1)).name == "checkpoint-100000000"
        assert is_of(these.latest(), 1)
        assert these.save(*of(2)).name == "checkpoint-100000001"
    assert names(tmp_path) == ["checkpoint-100000001"]


@pytest.mark.parametrize("refused", ["rename", "rmtree"])
def test_an_old_one_that_cannot_be_removed_is_no_error(tmp_path, monkeypatch, refused):
    filled(tmp_path, 1)
    really_rename = os.rename

    def refuse(path, *others, **_):
        if refused == "rmtree" or Path(path).name == "checkpoint-00000000":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return really_rename(path, *others)

    with held(tmp_path, keep=1) as these, monkeypatch.context() as patch:
        patch.setattr(*((os, "rename", refuse) if refused == "rename" else (shutil, "rmtree", refuse)))
        these.save(*of(1))
        assert len(names(tmp_path)) == 2
    with held(tmp_path, keep=1) as these:
        assert is_of(these.latest(), 1)
        these.save(*of(2))
    assert names(tmp_path) == named(2)


@pytest.mark.parametrize("keep", [0, -1, 1.0, True, None, "2"])
def test_keep_is_a_positive_integer(tmp_path, keep):
    expected = pytest.raises(OptionError, match=rf"`keep` should be a positive integer\. Received: keep={keep!r}")
    with expected, held(tmp_path / "new", keep):
        pass
    assert not (tmp_path / "new").exists()


# --- damage ---------------------------------------------------------------------------------------------------------


def noticed(these, path):
    """Whether the damage was: the checkpoint before was taken, and it was said so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        latest = these.latest()
    complaints = [str(warning.message) for warning in caught if "the one before it is used." in str(warning.message)]
    assert is_of(latest, 1 if not complaints else 0)
    assert all(complaint.startswith(f"{str(path)!r} is damaged (") for complaint in complaints)
    return bool(complaints)


def flipped(content, i):
    """With one bit of byte `i` changed, another bit in each byte."""
    return content[:i] + bytes([content[i] ^ (1 << i % 8)]) + content[i + 1 :]


def test_every_flipped_byte_of_the_json_is_noticed(tmp_path):
    path = filled(tmp_path, 2)[1]
    content = (path / "checkpoint.json").read_bytes()
    with held(tmp_path) as these:
        for i in range(len(content)):
            (path / "checkpoint.json").write_bytes(flipped(content, i))
            assert noticed(these, path), (i, content[i : i + 20])
        (path / "checkpoint.json").write_bytes(content + b" ")
        assert noticed(these, path)
        (path / "checkpoint.json").write_bytes(content)
        assert not noticed(these, path)


def test_every_flipped_byte_of_an_array_is_noticed_and_no_other_changes_one(tmp_path):
    path = filled(tmp_path, 2)[1]
    content = (path / "arrays.npz").read_bytes()
    data = [(content.index(array.tobytes()), array.nbytes) for array in of(1)[1].values()]
    data = {i for start, size in data for i in range(start, start + size)}
    num_noticed = 0
    with held(tmp_path) as these:
        for i in sorted(data | {*range(0, len(content), 5)}):
            (path / "arrays.npz").write_bytes(flipped(content, i))
            was_noticed = noticed(these, path)  # else both arrays were compared
            assert was_noticed or i not in data, i
            num_noticed += was_noticed
    assert num_noticed > len(data)  # headers, too


@pytest.mark.parametrize("name", ["checkpoint.json", "arrays.npz"])
def test_a_file_cut_short_or_missing(tmp_path, name):
    path = filled(tmp_path, 2)[1] / name
    content = path.read_bytes()
    with held(tmp_path) as these:
        for size in (0, 1, 4, 30, len(content) // 3, len(content) // 2, len(content) - 22, len(content) - 1):
            path.write_bytes(content[:size])
            assert noticed(these, path.parent), size
        path.unlink()
        assert noticed(these, path.parent)
        path.mkdir()
        assert noticed(these, path.parent)


def test_a_name_without_a_checkpoint(tmp_path):
    path = filled(tmp_path, 1)[0].with_name("checkpoint-00000001")
    with held(tmp_path) as these:
        path.mkdir()
        assert noticed(these, path)
        path.rmdir()
        path.touch()
        assert noticed(these, path)
        assert these.save(*of(2)).name == "checkpoint-00000002"


def test_arrays_other_than_those_of_the_record(tmp_path):
    path = filled(tmp_path, 2)[1]
    kernel, others = np.float32([[1] * 3] * 2), np.arange(9) + 1
    with held(tmp_path) as these:
        for arrays in ([], [kernel], [kernel.T, others], [kernel.astype("f8"), others], [kernel.view("i4"), others]):
            np.savez(path / "arrays.npz", **{f"a{i}": array for i, array in enumerate(arrays)})
            assert noticed(these, path)
        np.savez(path / "arrays.npz", a0=kernel, a1=others)
        assert not noticed(these, path)
        with zipfile.ZipFile(path / "arrays.npz") as npz:
            members = {name: npz.read(name) for name in npz.namelist()}
        with zipfile.ZipFile(path / "arrays.npz", "w") as npz:
            for name, content in members.items():
                npz.writestr(name, content + b"more")
        assert noticed(these, path)


def test_a_pickle_is_not_loaded(tmp_path):
    described = {"w": {"dtype": "|O", "shape": [1]}}
    by_hand(tmp_path / "checkpoint-00000000", arrays=described)
    np.savez(tmp_path / "checkpoint-00000000" / "arrays.npz", a0=np.array([{}]))
    with held(tmp_path) as these, pytest.raises(DataError, match=r"is damaged \(arrays\.npz: There is no plain dtype"):
        these.latest()


def test_every_damaged_one_is_named(tmp_path):
    paths = filled(tmp_path, 3)
    (paths[2] / "checkpoint.json").write_bytes(b"")
    (paths[1] / "checkpoint.json").unlink()
    with held(tmp_path) as these:
        with pytest.warns(UserWarning, match="is damaged") as caught:
            assert is_of(these.latest(), 0)
        assert [str(warning.message) for warning in caught] == [
            f"{str(paths[2])!r} is damaged (checkpoint.json is cut short); the one before it is used.",
            f"{str(paths[1])!r} is damaged (checkpoint.json: No such file or directory); the one before it is used.",
        ]
        assert {warning.filename for warning in caught} == {__file__}


def test_all_are_damaged(tmp_path):
    for path in filled(tmp_path, 2):
        (path / "checkpoint.json").write_bytes(b"{}")
    with held(tmp_path, keep=1) as these:
        warnings.simplefilter("error")  # pytest puts the filters back
        with pytest.raises(DataError) as caught:
            these.latest()
        assert str(caught.value) == (
            f"{str(tmp_path)!r} holds no checkpoint that is whole: {str(path)!r} is damaged (checkpoint.json is cut "
            "short). Remove the directory to begin anew, or choose another one."
        )
        assert names(tmp_path) == named(0, 1)


# --- refused --------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_before_the_first_byte(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with held(tmp_path, keep=1) as these:
        these.save(*of(0))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 17 * 10**6))  # 16 of them to spare
        with pytest.raises(DestinationError, match=r"Not enough disk for a checkpoint: 2\.0 MB needed, 17\.0 MB free"):
            these.save({}, {"w": np.zeros(2 * 10**6, np.uint8)})
        assert names(tmp_path) == named(0)
        these.save(*of(1))


@pytest.mark.parametrize("interruption", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("num_synced", [0, 1])
def test_an_interrupted_write_leaves_nothing_but_the_old_one(tmp_path, monkeypatch, interruption, num_synced):
    def interrupt(_):
        nonlocal num_synced
        if not num_synced:
            raise interruption
        num_synced -= 1

    full = r"^Cannot write '.*checkpoint-00000001': No space left on device\. Free some space"
    expected, words = (DestinationError, full) if isinstance(interruption, OSError) else (KeyboardInterrupt, None)
    with held(tmp_path, keep=1) as these:
        these.save(*of(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(expected, match=words):
                these.save(*of(1))
        assert names(tmp_path) == named(0)
        assert is_of(these.latest(), 0)
        assert these.save(*of(1)).name == "checkpoint-00000001"


def save_beyond_the_limit(directory):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with held(directory) as these:
        try:
            these.save({}, {"small": np.zeros(1), "large": np.zeros(10**5)})
        except DestinationError as error:
            say(error)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_file_larger_than_it_may_be(tmp_path):
    filled(tmp_path, 1)
    said = output(save_beyond_the_limit, tmp_path)
    assert said == f"Cannot write '{tmp_path}/checkpoint-00000001': File too large. Choose another destination.\n"
    assert names(tmp_path) == named(0)


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(DestinationError, match=r"/file' is a file\. Choose another directory"), held(tmp_path / "file"):
        pass
    with pytest.raises(DestinationError, match=r"/file/deep'.* Not a directory"), held(tmp_path / "file" / "deep"):
        pass
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_directory_that_may_not_be_written_is_found_before_training(tmp_path, monkeypatch, code):
    """Root may write anywhere, so the system's refusal is played; the lock is an old file, and opens."""
    filled(tmp_path, 1)

    def refuse(path, *_):
        if Path(path) != tmp_path:
            raise OSError(code, os.strerror(code))
        raise FileExistsError

    monkeypatch.setattr(os, "mkdir", refuse)
    expected = pytest.raises(
        DestinationError, match=rf"^Cannot write '{tmp_path}': .* Choose a destination that you may"
    )
    with expected, held(tmp_path):
        pytest.fail("held")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory(tmp_path):
    filled(tmp_path, 1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(DestinationError, match=r"Permission denied\. Choose a destination"), held(tmp_path):
            pytest.fail("held")
    finally:
        tmp_path.chmod(0o755)


# --- rivals ---------------------------------------------------------------------------------------------------------


def assert_busy(directory):
    with pytest.raises(BusyError) as caught, held(directory):
        pytest.fail("held")
    assert str(caught.value) == (
        f"Another training is running in {str(directory)!r}. Wait for it to end, or choose another directory."
    )


def test_two_in_one_process(tmp_path):
    with held(tmp_path) as these:
        these.save(*of(0))
        assert_busy(tmp_path)
        thread = threading.Thread(target=lambda: said.append(assert_busy(tmp_path)))
        said = []
        thread.start()
        thread.join()
        assert said == [None]
        these.save(*of(1))  # the rivals took nothing away
    with held(tmp_path) as these:
        assert is_of(these.latest(), 1)


def test_an_error_of_the_training_is_passed_on(tmp_path):
    with pytest.raises(BusyError, match=r"^somebody else's$"), held(tmp_path):
        raise BusyError("somebody else's")
    with held(tmp_path):
        pass


def hold(directory):
    with held(directory) as these:
        these.save(*of(0))
        say("holding")
        sys.stdin.readline()


@needs_fork
def test_two_processes_and_a_kill(tmp_path):
    with child(hold, tmp_path) as process:
        assert process.stdout.readline() == "holding\n"
        assert_busy(tmp_path)
        process.send_signal(signal.SIGKILL)
    with held(tmp_path) as these:
        assert is_of(these.latest(), 0)


def test_leftovers_are_removed_by_the_one_who_holds(tmp_path):
    leftovers = [tmp_path / f".keras_oocore-{i:016x}" for i in range(3)]
    (tmp_path / "mine").touch()
    with held(tmp_path):
        (leftovers[0] / "deep").mkdir(parents=True)
        (leftovers[0] / "deep" / "arrays.npz").touch()
        leftovers[1].touch()
        leftovers[2].symlink_to(tmp_path)
        assert_busy(tmp_path)
        assert len(names(tmp_path)) == 4
    with held(tmp_path):
        assert names(tmp_path) == ["mine"]


# --- death at every step --------------------------------------------------------------------------------------------


class Doom:
    """Ends this process at a step: before any call that changes the disk (so after the last one), or within a write.

    Args:
        last_step: which one.
        power_cut: undo what was not synced: the contents of files, their names, and renames.
    """

    def __init__(self, last_step, power_cut):
        self.last_step, self.power_cut, self.step = last_step, power_cut, 0
        self.contents = {}  # inode -> descriptor
        self.files, self.renames = [], []  # (inode of the folder, what undoes it)
        self.really_open, self.really_rename, self.really_unlink = open, os.rename, os.unlink
        checkpoints.open = files.open = self.open
        os.rename, os.fsync = self.rename, self.sync
        for name in ("mkdir", "rmdir", "replace", "unlink", "link"):
            setattr(os, name, self.doomed(getattr(os, name)))

    def reached(self):
        self.step += 1
        return self.step == self.last_step

    def strike(self):
        if self.reached():
            self.die()

    def die(self):
        self.cut_power()
        os.kill(os.getpid(), signal.SIGKILL)

    def cut_power(self):
        if self.power_cut:
            for descriptor in self.contents.values():
                os.ftruncate(descriptor, 0)
            for _, undo in [*self.files, *self.renames[::-1]]:
                undo()

    def doomed(self, function):
        def call(*arguments, **options):
            self.strike()
            return function(*arguments, **options)

        return call

    def open(self, path, mode):
        self.strike()
        file = self.really_open(path, mode)
        if mode == "xb":
            folder = os.open(Path(path).parent, os.O_RDONLY)
            undo = lambda: self.really_unlink(Path(path).name, dir_fd=folder)  # noqa: E731
            self.files.append((os.fstat(folder).st_ino, undo))
            self.contents[os.fstat(file.fileno()).st_ino] = os.dup(file.fileno())
            file.close()
            file = io.BufferedWriter(DoomedFile(path, self))
        return file

    def rename(self, source, target):
        self.strike()
        self.really_rename(source, target)
        self.renames.append((os.stat(Path(target).parent).st_ino, lambda: self.really_rename(target, source)))

    def sync(self, descriptor):
        self.strike()
        inode = os.fstat(descriptor).st_ino
        self.contents.pop(inode, None)
        self.files = [entry for entry in self.files if entry[0] != inode]
        self.renames = [entry for entry in self.renames if entry[0] != inode]


class DoomedFile(io.FileIO):
    def __init__(self, path, doom):
        super().__init__(path, "r+b")
        self.doom = doom

    def write(self, data):
        self.doom.strike()
        if self.doom.reached():
            super().write(bytes(data)[: len(data) // 2])
            self.doom.die()
        return super().write(data)


def save_another(directory, keep, num_before):
    with warnings.catch_warnings(), held(directory, keep) as these:
        warnings.simplefilter("ignore")
        these.latest()
        these.save(*of(num_before))


# name: (keep, checkpoints before, how many of them damaged)
SCENARIOS = {
    "the first": (1, 0, 0),
    "the only one that is kept": (1, 1, 0),
    "two are kept": (2, 2, 0),
    "the last is damaged": (1, 2, 1),
}


def check_after_death(directory, keep, num_before, damaged):
    """The generation of the checkpoint that is found, which is whole; so are those behind, and so is the next."""
    with warnings.catch_warnings(record=True) as caught, held(directory, keep) as these:
        warnings.simplefilter("always")
        assert set(names(directory)) <= set(named(*range(num_before + 1)))
        latest = these.latest()
        generation = latest.state["generation"] if latest else -1
        assert latest is None or is_of(latest, generation)
        assert len(caught) == (damaged and generation != num_before)
        for name in names(directory):  # none is half removed
            assert sorted(os.listdir(directory / name)) == ["arrays.npz", "checkpoint.json"]
        these.save(*of(77))
        assert is_of(these.latest(), 77)
    good = 1 + (latest is not None)
    assert len(names(directory)) == (keep if good >= keep else good)
    return generation


def kill_at_every_step(folder, power_cut):
    """Save until it lives to its end, one step longer each time; print which generation was found each time."""
    os.fsync = lambda _: None  # a kill needs none, and Doom plays the power cut
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
                    doom = Doom(last_step, power_cut)
                    save_another(directory, keep, num_before)
                    doom.cut_power()  # what `save` returned is on disk
                    code = 0
                finally:
                    sys.excepthook(*sys.exc_info()) if code else None
                    os._exit(code)
            died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert died in (0, -signal.SIGKILL), (scenario, last_step)
            try:
                found[scenario].append(check_after_death(directory, keep, num_before, damaged))
            except BaseException:
                print(f"{scenario!r}, step {last_step}", file=sys.stderr)
                raise
            shutil.rmtree(directory)
            if died == 0:
                break
    say(json.dumps(found))


@needs_fork
@pytest.mark.parametrize("power_cut", [0, 1], ids=["kill", "power cut"])
def test_a_death_at_any_step_loses_nothing(tmp_path, power_cut):
    found = json.loads(output(kill_at_every_step, tmp_path, power_cut))
    for scenario, (_, num_before, damaged) in SCENARIOS.items():
        assert {*found[scenario]} == {num_before - 1 - damaged, num_before}, scenario
        assert found[scenario] == sorted(found[scenario]), scenario  # once the new one is there, it stays
        assert len(found[scenario]) >= 20, scenario


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(lambda a: Path(a) if "/" in a else int(a), sys.argv[2:]))
