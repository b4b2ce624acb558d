"""Temporary files: locked while they are written, and removed by the next run after a kill."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from keras_oocore.core import temporary
from keras_oocore.core.files import write_whole
from keras_oocore.core.temporary import COMMIT_NAME, TEMPORARY_PREFIX, lock_file, remove_leftovers, temporary_file

TIMEOUT_SECONDS = 300
LEFTOVER = f"{TEMPORARY_PREFIX}0123456789abcdef"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def child(code, *arguments):
    """A child process that a timer ends in any case."""
    code = f"import signal; signal.alarm({TIMEOUT_SECONDS})\n{code}"
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_leaves_the_old_file_and_a_leftover_to_remove(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    (tmp_path / ".keras_oocore-lock").touch()
    code = """if True:
        import sys, time
        from keras_oocore.core.files import write_whole
        with write_whole(sys.argv[1]) as file:
            file.write(bytes(5000))
            file.flush()
            print("writing", flush=True)
            time.sleep(300)
    """
    with child(code, path) as process:
        assert process.stdout.readline() == "writing\n"
        assert remove_leftovers(tmp_path) == 0  # it is being written
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == [".keras_oocore-lock", "file.bin"]


def test_remove_leftovers_removes_folders_and_keeps_targets_of_links(tmp_path):
    folder, link, kept = (tmp_path / f"{TEMPORARY_PREFIX}{name}" for name in ("0" * 16, "1" * 16, "0" * 15))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.bin").touch()
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file.bin").touch()
    kept.mkdir()
    try:
        link.symlink_to(tmp_path / "mine", target_is_directory=True)
    except OSError:  # Windows asks for a privilege
        link.touch()
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == sorted([kept.name, folder.name, "mine"])
    assert remove_leftovers(tmp_path, folders=True) == 1
    assert names(tmp_path) == [kept.name, "mine"]
    assert names(tmp_path / "mine") == ["file.bin"]


def test_remove_leftovers_continues_after_a_failure(tmp_path, monkeypatch):
    for number in range(3):
        folder = tmp_path / f"{TEMPORARY_PREFIX}{number:016x}"
        folder.mkdir()
        (folder / f"{number}").touch()
    really_unlink = os.unlink

    def unlink(path, **options):
        if os.path.basename(path) == "1":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        really_unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        remove_leftovers(tmp_path, folders=True)
    assert names(tmp_path) == [f"{TEMPORARY_PREFIX}{1:016x}"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove open files")
def test_a_file_is_locked_until_it_has_its_name(tmp_path, monkeypatch):
    """Also between the end of writing and the renaming."""
    really_link, removed = os.link, []

    def link(*arguments):
        removed.append(remove_leftovers(tmp_path))
        really_link(*arguments)

    monkeypatch.setattr(os, "link", link)
    with write_whole(tmp_path / "file.bin", overwrite=False) as file:
        removed.append(remove_leftovers(tmp_path))
        file.write(b"content")
    assert removed == [0, 0]
    assert (tmp_path / "file.bin").read_bytes() == b"content"
    assert names(tmp_path) == ["file.bin"]
    with open(tmp_path / "file.bin", "rb+") as file:
        assert lock_file(file.fileno())  # and not longer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove open files")
@pytest.mark.parametrize("moment", ["before it is locked", "while the other process has locked it"])
def test_a_new_file_that_another_process_removes_is_replaced_by_another_one(tmp_path, monkeypatch, moment):
    really_lock, removed = temporary.lock_file, []

    def lock(descriptor):
        if not removed:
            (name,) = names(tmp_path)
            removed.append(name)
            other = os.open(tmp_path / name, os.O_RDWR)
            assert really_lock(other)
            os.unlink(tmp_path / name)
            if moment == "before it is locked":
                os.close(other)
        return really_lock(descriptor)

    monkeypatch.setattr(temporary, "lock_file", lock)
    with temporary_file(tmp_path / "file.bin") as file:
        assert names(tmp_path) == [os.path.basename(file.name)]
        assert os.path.basename(file.name) not in removed
    assert names(tmp_path) == []


def test_a_file_that_a_commit_names_is_not_removed(tmp_path):
    (tmp_path / LEFTOVER).touch()
    (tmp_path / COMMIT_NAME).write_text(f'{{"files": [["a", null, null, "{LEFTOVER}"]]}}')
    assert remove_leftovers(tmp_path) == 0
    (tmp_path / COMMIT_NAME).unlink()
    assert remove_leftovers(tmp_path) == 1


def test_files_stay_where_locks_do_not_exist(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "lock_file", lambda _: None)
    (tmp_path / LEFTOVER).touch()
    with write_whole(tmp_path / "file.bin") as file:
        file.write(b"content")
    if os.name != "nt":
        assert remove_leftovers(tmp_path) == 0
    assert (tmp_path / "file.bin").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["gone", "file"])
def test_a_folder_that_cannot_be_listed_has_no_leftovers(tmp_path, name):
    (tmp_path / "file").touch()
    assert remove_leftovers(tmp_path / name) == 0
