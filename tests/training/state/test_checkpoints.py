"""Checkpoints of processes that are killed, lose power or disk space, or meet others, and checkpoints with damage."""

import errno
import io
import json
import os
import shutil
import signal
import sys
import threading
import warnings
import zipfile
import zlib
from collections import namedtuple
from pathlib import Path

import checkpoint_child
import numpy as np
import pytest
from checkpoint_child import SCENARIOS, assert_arrays, content, filled, has_content, named, names
from forked_child import forked_child

import keras_oocore
from keras_oocore.core import faults
from keras_oocore.core.errors import (
    BusyError,
    DataError,
    DestinationError,
    MissingExtraError,
    OptionError,
    ResourceError,
)
from keras_oocore.training.state.checkpoints import exclusive
from keras_oocore.training.state.plain_values import NotPlainError, named_dtype

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def output(function, *arguments):
    """Run a function in a child process, and return what it prints."""
    with forked_child(function, *arguments) as child:
        code, printed, errors = child.finish()
    assert code == 0, errors
    return printed


# --- writing and reading --------------------------------------------------------------------------------------------


def test_save_and_latest(tmp_path):
    with exclusive(tmp_path / "deep" / "er") as saved:
        assert saved.latest() is None
        path = saved.save(*content(0))
        assert path == tmp_path / "deep" / "er" / "checkpoint-00000000"
        assert has_content(saved.latest(), 0)
        assert saved.save(*content(1)).name == "checkpoint-00000001"
    with exclusive(tmp_path / "deep" / "er") as saved:
        latest = saved.latest()
    assert has_content(latest, 1)
    assert latest.path == path.with_name("checkpoint-00000001")
    assert latest.number == 1


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


def test_arrays_of_any_dtype_and_name(tmp_path):
    with exclusive(tmp_path) as saved:
        saved.save({"nan": [float("nan"), -0.0], "b": 1, "a": 2}, ARRAYS)
        latest = saved.latest()
        assert_arrays(latest.arrays, ARRAYS)
        assert latest.arrays["longlong"].dtype.char == "q"
        assert [*latest.state] == ["nan", "b", "a"]
        assert str(latest.state["nan"]) == "[nan, -0.0]"
        saved.save({}, {})
        assert (saved.latest().state, saved.latest().arrays) == ({}, {})


def test_files_open_with_numpy_and_json(tmp_path):
    bfloat16 = np.array([1, 2], named_dtype("bfloat16"))
    with exclusive(tmp_path) as saved:
        path = saved.save({"epoch": 3}, {"w": np.eye(2), "b": bfloat16})
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
    """Write a checkpoint of format 1 without keras_oocore. Every version should read it."""
    path.mkdir(parents=True)
    np.savez(path / "arrays.npz", a0=np.float32([1, 2]))
    described = {"w": {"dtype": "<f4", "shape": [2]}}
    record = {"format": 1, "keras_oocore": "0.2.0", "arrays": described, "state": {"epoch": 3}, **changes}
    record["crc32"] = zlib.crc32(json.dumps(record).encode())
    (path / "checkpoint.json").write_text(json.dumps(record))


def test_format_1_is_readable(tmp_path):
    by_hand(tmp_path / "checkpoint-00000041")
    with exclusive(tmp_path) as saved:
        latest = saved.latest()
        assert (latest.number, latest.state) == (41, {"epoch": 3})
        assert_arrays(latest.arrays, {"w": np.float32([1, 2])})
        assert saved.save(*content(0)).name == "checkpoint-00000042"


def test_newer_format_is_not_reported_as_damage(tmp_path):
    filled(tmp_path, 1)
    by_hand(tmp_path / "checkpoint-00000007", format=2, keras_oocore="9.1", arrays=None)
    with (
        exclusive(tmp_path) as saved,
        pytest.raises(
            DataError,
            match=r"7/checkpoint\.json' has format 2, written by .* 9\.1, .* reads format 1\. .*-U keras",
        ),
    ):
        saved.latest()
    assert names(tmp_path) == named(0, 7)


def test_missing_ml_dtypes_is_not_reported_as_damage(tmp_path, monkeypatch):
    with exclusive(tmp_path) as saved:
        saved.save({}, {"w": np.zeros(2, named_dtype("bfloat16"))})
        monkeypatch.setitem(sys.modules, "ml_dtypes", None)
        with pytest.raises(MissingExtraError, match="pip install ml_dtypes"):
            saved.latest()


@pytest.mark.parametrize("array", [np.array([None]), np.zeros(2, "f4,i4")])
def test_object_and_record_arrays_are_errors(tmp_path, array):
    with (
        exclusive(tmp_path) as saved,
        pytest.raises(NotPlainError, match=r"array 'odd' should contain .* Received: dtype"),
    ):
        saved.save({}, {"odd": array})
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot sync a folder")
def test_new_directory_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with exclusive(tmp_path / "new"):
        assert synced == [tmp_path.stat().st_ino]


def test_directory_is_relative_to_home_and_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with exclusive("~/a") as of_home, exclusive(Path("b")) as of_here:
        assert (of_home.directory, of_here.directory) == (tmp_path / "a", tmp_path / "b")
        monkeypatch.chdir("/")
        of_here.save(*content(0))
    assert names(tmp_path / "b") == named(0)


# --- keep -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, np.int64(3)])
def test_keep_keeps_the_latest(tmp_path, keep):
    stayed = []
    with exclusive(tmp_path, keep) as saved:
        for generation in range(5):
            saved.save(*content(generation))
            stayed.append(names(tmp_path))
    assert stayed == [named(*range(max(0, i + 1 - keep), i + 1)) for i in range(5)]


def test_unread_checkpoints_do_not_count_towards_keep(tmp_path):
    filled(tmp_path, 4)
    with exclusive(tmp_path, keep=2) as saved:
        saved.save(*content(4))  # `latest` was not called, so the older ones may be damaged
        assert names(tmp_path) == named(0, 1, 2, 3, 4)
        saved.save(*content(5))
        assert names(tmp_path) == named(4, 5)


@pytest.mark.parametrize(("keep", "after_one", "after_two"), [(1, [4], [5]), (2, [1, 2, 3, 4], [4, 5])])
def test_damaged_checkpoints_do_not_count_towards_keep(tmp_path, keep, after_one, after_two):
    for path in filled(tmp_path, 4)[2:]:
        (path / "arrays.npz").unlink()
    with exclusive(tmp_path, keep) as saved:
        with pytest.warns(UserWarning, match="is damaged"):
            assert has_content(saved.latest(), 1)
        assert saved.save(*content(9)).name == "checkpoint-00000004"
        assert names(tmp_path) == named(*after_one)
        saved.save(*content(10))
        assert names(tmp_path) == named(*after_two)


def test_files_of_other_names_are_not_removed(tmp_path):
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


def test_numbers_of_more_than_eight_digits(tmp_path):
    by_hand(tmp_path / "checkpoint-99999999")
    with exclusive(tmp_path, keep=1) as saved:
        assert saved.save(*content(1)).name == "checkpoint-100000000"
        assert has_content(saved.latest(), 1)
        assert saved.save(*content(2)).name == "checkpoint-100000001"
    assert names(tmp_path) == ["checkpoint-100000001"]


@pytest.mark.parametrize("refused", ["rename", "rmtree"])
def test_failure_to_remove_an_old_checkpoint_is_ignored(tmp_path, monkeypatch, refused):
    filled(tmp_path, 1)
    rename = os.rename

    def refuse(path, *others, **_):
        if refused == "rmtree" or Path(path).name == "checkpoint-00000000":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return rename(path, *others)

    with exclusive(tmp_path, keep=1) as saved, monkeypatch.context() as patch:
        patch.setattr(*((os, "rename", refuse) if refused == "rename" else (shutil, "rmtree", refuse)))
        saved.save(*content(1))
        assert len(names(tmp_path)) == 2
    with exclusive(tmp_path, keep=1) as saved:
        assert has_content(saved.latest(), 1)
        saved.save(*content(2))
    assert names(tmp_path) == named(2)


@pytest.mark.parametrize("keep", [0, -1, 1.0, True, None, "2"])
def test_keep_is_a_positive_integer(tmp_path, keep):
    expected = pytest.raises(OptionError, match=rf"`keep` should be a positive integer\. Received: keep={keep!r}")
    with expected, exclusive(tmp_path / "new", keep):
        pass
    assert not (tmp_path / "new").exists()


# --- damage ---------------------------------------------------------------------------------------------------------


def detected(saved, path):
    """Return whether the damage was detected, with a warning and the checkpoint before."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        latest = saved.latest()
    messages = [
        str(warning.message) for warning in caught if "The checkpoint before it is used." in str(warning.message)
    ]
    assert has_content(latest, 1 if not messages else 0)
    assert all(message.startswith(f"{str(path)!r} is damaged (") for message in messages)
    return bool(messages)


def flipped(content, i):
    """Return the content with one bit of byte `i` changed."""
    return content[:i] + bytes([content[i] ^ (1 << i % 8)]) + content[i + 1 :]


def test_every_flipped_byte_of_the_json_is_detected(tmp_path):
    path = filled(tmp_path, 2)[1]
    content = (path / "checkpoint.json").read_bytes()
    with exclusive(tmp_path) as saved:
        for i in range(len(content)):
            (path / "checkpoint.json").write_bytes(flipped(content, i))
            assert detected(saved, path), (i, content[i : i + 20])
        (path / "checkpoint.json").write_bytes(content + b" ")
        assert detected(saved, path)
        (path / "checkpoint.json").write_bytes(content)
        assert not detected(saved, path)


def test_every_flipped_byte_of_an_array_is_detected(tmp_path):
    path = filled(tmp_path, 2)[1]
    stored = (path / "arrays.npz").read_bytes()
    data = [(stored.index(array.tobytes()), array.nbytes) for array in content(1)[1].values()]
    data = {i for start, size in data for i in range(start, start + size)}
    num_detected = 0
    with exclusive(tmp_path) as saved:
        for i in sorted(data | {*range(0, len(stored), 5)}):
            (path / "arrays.npz").write_bytes(flipped(stored, i))
            was_detected = detected(saved, path)  # else both arrays were compared
            assert was_detected or i not in data, i
            num_detected += was_detected
    assert num_detected > len(data)  # also in headers


@pytest.mark.parametrize("name", ["checkpoint.json", "arrays.npz"])
def test_truncated_or_missing_file_is_detected(tmp_path, name):
    path = filled(tmp_path, 2)[1] / name
    content = path.read_bytes()
    with exclusive(tmp_path) as saved:
        for size in (0, 1, 4, 30, len(content) // 3, len(content) // 2, len(content) - 22, len(content) - 1):
            path.write_bytes(content[:size])
            assert detected(saved, path.parent), size
        path.unlink()
        assert detected(saved, path.parent)
        path.mkdir()
        assert detected(saved, path.parent)


def test_empty_directory_or_file_with_the_name_of_a_checkpoint(tmp_path):
    path = filled(tmp_path, 1)[0].with_name("checkpoint-00000001")
    with exclusive(tmp_path) as saved:
        path.mkdir()
        assert detected(saved, path)
        path.rmdir()
        path.touch()
        assert detected(saved, path)
        assert saved.save(*content(2)).name == "checkpoint-00000002"


def test_arrays_that_do_not_match_the_record_are_detected(tmp_path):
    path = filled(tmp_path, 2)[1]
    kernel, others = np.float32([[1] * 3] * 2), np.arange(9) + 1
    with exclusive(tmp_path) as saved:
        for arrays in ([], [kernel], [kernel.T, others], [kernel.astype("f8"), others], [kernel.view("i4"), others]):
            np.savez(path / "arrays.npz", **{f"a{i}": array for i, array in enumerate(arrays)})
            assert detected(saved, path)
        np.savez(path / "arrays.npz", a0=kernel, a1=others)
        assert not detected(saved, path)
        with zipfile.ZipFile(path / "arrays.npz") as npz:
            members = {name: npz.read(name) for name in npz.namelist()}
        with zipfile.ZipFile(path / "arrays.npz", "w") as npz:
            for name, content in members.items():
                npz.writestr(name, content + b"more")
        assert detected(saved, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"arrays": None},
        {"arrays": {"w": 5}},
        {"arrays": {"w": {"dtype": "<f4", "shape": 2}}},
        {"arrays": {"w": {"dtype": "<f4", "shape": [10**12]}}},
        {"arrays": {"w": {"dtype": "<f4", "shape": [2.0]}}},
        {"arrays": {"w": {"dtype": ["<f4"], "shape": [2]}}},
        {"arrays": {"w": {"dtype": "<f4"}}},
        {"state": None},
        {"state": ["epoch", 3]},
    ],
    ids=str,
)
def test_wrong_content_gives_way_to_the_checkpoint_before_it(tmp_path, changes):
    filled(tmp_path, 1)
    path = tmp_path / "checkpoint-00000001"
    by_hand(path, **changes)
    with exclusive(tmp_path) as saved:
        assert detected(saved, path)


def test_json_nested_too_deep_gives_way_to_the_checkpoint_before_it(tmp_path):
    filled(tmp_path, 1)
    path = tmp_path / "checkpoint-00000001"
    by_hand(path)
    text = b'{"format": 1, "state": %s}' % (b"[" * 100_000 + b"]" * 100_000)
    (path / "checkpoint.json").write_bytes(text[:-1] + b', "crc32": %d}' % zlib.crc32(text))
    with exclusive(tmp_path) as saved:
        assert detected(saved, path)


def test_an_array_larger_than_its_file_is_not_allocated(tmp_path):
    """Neither the header nor the directory of the zip file is believed."""
    filled(tmp_path, 1)
    path = tmp_path / "checkpoint-00000001"
    by_hand(path, arrays={"w": {"dtype": "|u1", "shape": [2**40]}})
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(path / "arrays.npz", "w") as npz:
        npz.writestr("a0.npy", header.getvalue() + bytes(10))
    with exclusive(tmp_path) as saved:
        assert detected(saved, path)


def test_a_check_of_the_content_that_fails_gives_way_to_the_checkpoint_before_it(tmp_path):
    filled(tmp_path, 2)
    with exclusive(tmp_path) as saved:
        with pytest.warns(UserWarning, match=r"00000001' is damaged \(checkpoint\.json: 'place' is missing\)\. The"):
            latest = saved.latest(lambda checkpoint: {}["place"] if checkpoint.number == 1 else None)
        assert latest.number == 0


def test_pickled_array_is_not_loaded(tmp_path):
    described = {"w": {"dtype": "|O", "shape": [1]}}
    by_hand(tmp_path / "checkpoint-00000000", arrays=described)
    np.savez(tmp_path / "checkpoint-00000000" / "arrays.npz", a0=np.array([{}]))
    with (
        exclusive(tmp_path) as saved,
        pytest.raises(DataError, match=r"is damaged \(checkpoint\.json: There is no plain dtype"),
    ):
        saved.latest()


def test_every_damaged_checkpoint_is_a_warning(tmp_path):
    paths = filled(tmp_path, 3)
    (paths[2] / "checkpoint.json").write_bytes(b"")
    (paths[1] / "checkpoint.json").unlink()
    with exclusive(tmp_path) as saved:
        with pytest.warns(UserWarning, match="is damaged") as caught:
            assert has_content(saved.latest(), 0)
        assert [str(warning.message) for warning in caught] == [
            f"{str(paths[2])!r} is damaged (checkpoint.json: it is truncated). The checkpoint before it is used.",
            f"{str(paths[1])!r} is damaged (checkpoint.json: No such file or directory). "
            "The checkpoint before it is used.",
        ]
        assert {warning.filename for warning in caught} == {__file__}


def test_all_checkpoints_damaged_is_an_error(tmp_path):
    for path in filled(tmp_path, 2):
        (path / "checkpoint.json").write_bytes(b"{}")
    with exclusive(tmp_path, keep=1) as saved:
        warnings.simplefilter("error")  # pytest puts the filters back
        with pytest.raises(DataError) as caught:
            saved.latest()
        assert str(caught.value) == (
            f"{str(tmp_path)!r} contains no complete checkpoint: {str(path)!r} is damaged (checkpoint.json: it is "
            "truncated). Remove the directory to start over, or choose another one."
        )
        assert names(tmp_path) == named(0, 1)


def failing_open(code, name, times):
    """Return `open`, which raises this `errno` for files of this name, the first `times` times."""
    left, real_open = [None] * times, open

    def failing(path, *arguments, **options):
        if not isinstance(path, int) and os.path.basename(os.fspath(path)) == name and left:
            left.pop()
            raise OSError(code, os.strerror(code))
        return real_open(path, *arguments, **options)

    return failing


@pytest.mark.parametrize("name", ["checkpoint.json", "arrays.npz"])
def test_disk_that_fails_for_a_moment_does_not_damage_a_checkpoint(tmp_path, monkeypatch, name):
    filled(tmp_path, 2)
    monkeypatch.setattr(faults, "MOST_PAUSE_SECONDS", 0)

    def fail(*arguments):
        failing = failing_open(*arguments)
        monkeypatch.setattr("builtins.open", failing)
        monkeypatch.setattr(io, "open", failing)  # which zipfile calls

    with exclusive(tmp_path) as saved:
        fail(errno.EIO, name, 2)
        assert has_content(saved.latest(), 1)
        fail(errno.EMFILE, name, 1)
        with pytest.raises(ResourceError, match=r"Cannot read the checkpoint '.*-00000001': Too many open files\. "):
            saved.latest()
        fail(errno.EIO, name, 100)
        with pytest.raises(DataError, match=r"Cannot read the checkpoint '.*-00000001': Input/output error\. .*intact"):
            saved.latest()


# --- errors ---------------------------------------------------------------------------------------------------------


def test_full_disk_is_an_error_before_writing(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with exclusive(tmp_path, keep=1) as saved:
        saved.save(*content(0))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 17 * 10**6))  # 16 of them to spare
        with pytest.raises(DestinationError, match=r"Not enough disk for a checkpoint: 2\.0 MB needed, 17\.0 MB free"):
            saved.save({}, {"w": np.zeros(2 * 10**6, np.uint8)})
        assert names(tmp_path) == named(0)
        saved.save(*content(1))


@pytest.mark.parametrize("interruption", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("num_synced", [0, 1])
def test_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch, interruption, num_synced):
    def interrupt(_):
        nonlocal num_synced
        if not num_synced:
            raise interruption
        num_synced -= 1

    full = r"^Cannot write '.*checkpoint-00000001': No space left on device\. Free some space"
    expected, words = (DestinationError, full) if isinstance(interruption, OSError) else (KeyboardInterrupt, None)
    with exclusive(tmp_path, keep=1) as saved:
        saved.save(*content(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(expected, match=words):
                saved.save(*content(1))
        assert names(tmp_path) == named(0)
        assert has_content(saved.latest(), 0)
        assert saved.save(*content(1)).name == "checkpoint-00000001"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.child
def test_file_size_limit(tmp_path):
    filled(tmp_path, 1)
    printed = output(checkpoint_child.save_beyond_the_limit, tmp_path)
    assert printed == f"Cannot write '{tmp_path}/checkpoint-00000001': File too large. Choose another destination.\n"
    assert names(tmp_path) == named(0)


def test_file_as_directory_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with (
        pytest.raises(DestinationError, match=r"/file' is a file\. Choose another directory"),
        exclusive(tmp_path / "file"),
    ):
        pass
    with pytest.raises(DestinationError, match=r"/file/deep'.* Not a directory"), exclusive(tmp_path / "file" / "deep"):
        pass
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_unwritable_directory_is_an_error_on_locking(tmp_path, monkeypatch, code):
    """The refusal is simulated, because root may write anywhere. An old lock file can still be opened."""
    filled(tmp_path, 1)

    def refuse(path, *_):
        if Path(path) != tmp_path:
            raise OSError(code, os.strerror(code))
        raise FileExistsError

    monkeypatch.setattr(os, "mkdir", refuse)
    expected = pytest.raises(
        DestinationError, match=rf"^Cannot write '{tmp_path}': .* Choose a destination that you may"
    )
    with expected, exclusive(tmp_path):
        pytest.fail("locked")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory(tmp_path):
    filled(tmp_path, 1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(DestinationError, match=r"Permission denied\. Choose a destination"), exclusive(tmp_path):
            pytest.fail("locked")
    finally:
        tmp_path.chmod(0o755)


# --- other trainings ------------------------------------------------------------------------------------------------


def assert_busy(directory):
    with pytest.raises(BusyError) as caught, exclusive(directory):
        pytest.fail("locked")
    assert str(caught.value) == (
        f"Another training is running in {str(directory)!r}. Wait for it to end, or choose another directory."
    )


def test_second_training_in_one_process_is_busy(tmp_path):
    with exclusive(tmp_path) as saved:
        saved.save(*content(0))
        assert_busy(tmp_path)
        thread = threading.Thread(target=lambda: errors.append(assert_busy(tmp_path)))
        errors = []
        thread.start()
        thread.join()
        assert errors == [None]
        saved.save(*content(1))  # the directory is still locked
    with exclusive(tmp_path) as saved:
        assert has_content(saved.latest(), 1)


def test_busy_error_of_the_training_is_not_changed(tmp_path):
    with pytest.raises(BusyError, match=r"^another directory$"), exclusive(tmp_path):
        raise BusyError("another directory")
    with exclusive(tmp_path):
        pass


@needs_fork
@pytest.mark.child
def test_second_process_is_busy_until_the_first_is_killed(tmp_path):
    with forked_child(checkpoint_child.hold, tmp_path) as child:
        assert child.stdout.readline() == "holding\n"
        assert_busy(tmp_path)
        child.signal(signal.SIGKILL)
        child.finish()
    with exclusive(tmp_path) as saved:
        assert has_content(saved.latest(), 0)


def test_leftovers_are_removed_by_the_next_training(tmp_path):
    leftovers = [tmp_path / f".keras_oocore-{i:016x}" for i in range(3)]
    (tmp_path / "mine").touch()
    with exclusive(tmp_path):
        (leftovers[0] / "deep").mkdir(parents=True)
        (leftovers[0] / "deep" / "arrays.npz").touch()
        leftovers[1].touch()
        leftovers[2].symlink_to(tmp_path)
        assert_busy(tmp_path)
        assert len(names(tmp_path)) == 4
    with exclusive(tmp_path):
        assert names(tmp_path) == ["mine"]


# --- killed at every step -------------------------------------------------------------------------------------------


@needs_fork
@pytest.mark.child
@pytest.mark.parametrize("power_cut", [0, 1], ids=["kill", "power cut"])
def test_kill_or_power_cut_at_every_step_loses_nothing(tmp_path, power_cut):
    found = json.loads(output(checkpoint_child.kill_at_every_step, tmp_path, power_cut))
    for scenario, (_, num_before, damaged) in SCENARIOS.items():
        assert {*found[scenario]} == {num_before - 1 - damaged, num_before}, scenario
        assert found[scenario] == sorted(found[scenario]), (
            scenario
        )  # a new checkpoint, once found, is found after every later step
        assert len(found[scenario]) >= 20, scenario
