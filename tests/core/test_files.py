"""Whole or not at all, one writer at a time, enough disk first: each promise broken on purpose."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_oocore.core import files, locks
from keras_oocore.core.errors import DataError, DestinationError, SampleError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_after_writing(file, interruption):
    file.write(b"new")
    raise interruption


def child(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_a_file_appears_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "deep" / "er" / "file.bin"
    with files.write_whole(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file(tmp_path, interruption):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(interruption), files.write_whole(path) as file:
        fail_after_writing(file, interruption)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_exists_is_kept_unless_asked(tmp_path, monkeypatch, hard_links):
    if not hard_links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no hard links")))
    path = tmp_path / "file.bin"
    with files.write_whole(path, overwrite=False) as file:
        file.write(b"first")
    with pytest.raises(DestinationError, match="exists and is kept"), files.write_whole(path, overwrite=False) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    with files.write_whole(path, overwrite=True) as file:
        file.write(b"third")
    assert path.read_bytes() == b"third"
    assert names(tmp_path) == ["file.bin"]


def test_only_durable_writes_wait_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files.write_whole(tmp_path / "a", durable=False):
        pass
    assert not synced
    with files.write_whole(tmp_path / "a"):
        pass
    assert len(synced) == 2  # the file and the folder that names it


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    code = """if True:
        import resource, sys
        from keras_oocore.core import files
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with files.write_whole(sys.argv[1]) as file:
                file.write(bytes(5000))
        except files.DestinationError as error:
            print(error)
    """
    said = child(code, path).communicate()[0]
    assert "Cannot write" in said
    assert "file.bin" in said
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "you may write to"),
        (errno.EACCES, "you may write to"),
        (errno.EIO, "another destination"),
    ],
)
def test_refusals_name_the_file_and_a_remedy(tmp_path, code, remedy):
    expected = pytest.raises(DestinationError, match=rf"Cannot write '.*file.bin'.*{remedy}")
    with expected as caught, files.explained(tmp_path / "file.bin"):
        raise OSError(code, os.strerror(code))
    assert caught.value.__cause__.errno == code
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="Cannot write"), files.write_whole(tmp_path / "file" / "x"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_leaves_the_old_file_and_its_leftovers_can_be_removed(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    (tmp_path / ".keras_oocore-lock").touch()
    code = """if True:
        import sys, time
        from keras_oocore.core import files
        with files.write_whole(sys.argv[1]) as file:
            file.write(bytes(5000))
            file.flush()
            print("writing", flush=True)
            time.sleep(60)
    """
    with child(code, path) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    assert files.remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == [".keras_oocore-lock", "file.bin"]


def test_leftover_folders_go_with_all_that_is_in_them(tmp_path):
    folder, link, kept = (tmp_path / f"{files.TEMPORARY_PREFIX}{name}" for name in ("0" * 16, "1" * 16, "0" * 15))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.bin").touch()
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file.bin").touch()
    kept.mkdir()
    try:
        link.symlink_to(tmp_path / "mine", target_is_directory=True)
    except OSError:  # Windows asks for a privilege
        link.touch()
    assert files.remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == [kept.name, "mine"]
    assert names(tmp_path / "mine") == ["file.bin"]


def test_a_leftover_folder_that_cannot_be_removed_keeps_no_other(tmp_path, monkeypatch):
    for number in range(3):
        folder = tmp_path / f"{files.TEMPORARY_PREFIX}{number:016x}"
        folder.mkdir()
        (folder / f"{number}").touch()
    really_unlink = os.unlink

    def unlink(path, **options):
        if os.path.basename(path) == "1":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        really_unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        files.remove_leftovers(tmp_path)
    assert names(tmp_path) == [f"{files.TEMPORARY_PREFIX}{1:016x}"]


def test_arrays_come_back(tmp_path):
    array = np.array(["a.png", "ünï 1.png", "\U0001f98a\n.png", "b\udcff.png"])
    path = files.save_array(tmp_path / "names.npy", array)
    np.testing.assert_array_equal(files.load_array(path), array)


def test_pickles_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        files.save_array(tmp_path / "a.npy", np.array([None, {}], dtype=object))
    assert names(tmp_path) == []
    np.save(tmp_path / "b.npy", np.array(["a.png", None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"b\.npy.*pickled.*Save it again"):
        files.load_array(tmp_path / "b.npy")


def test_damaged_and_missing_arrays_are_named(tmp_path):
    path = files.save_array(tmp_path / "a.npy", np.arange(1000))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.npy' is not a whole \.npy file"):
        files.load_array(path)
    (tmp_path / "zero.npy").touch()
    with pytest.raises(DataError, match=r"zero\.npy' is not a whole \.npy file"):
        files.load_array(tmp_path / "zero.npy")
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.npy': No such file"):
        files.load_array(tmp_path / "gone.npy")


def test_a_source_that_cannot_be_read_is_not_taken_for_the_destination(tmp_path):
    with (
        pytest.raises(SampleError, match=r"Cannot read '.*gone\.png'"),
        files.write_whole(tmp_path / "copy.png") as file,
    ):
        file.writelines(files.read_chunks(tmp_path / "gone.png"))
    assert names(tmp_path) == []


def test_chunks_are_the_file(tmp_path):
    content = np.random.default_rng(0).bytes(2 * files.CHUNK_BYTES + 17)
    (tmp_path / "a").write_bytes(content)
    chunks = list(files.read_chunks(tmp_path / "a"))
    assert [len(chunk) for chunk in chunks] == [files.CHUNK_BYTES, files.CHUNK_BYTES, 17]
    assert b"".join(chunks) == content


@pytest.mark.parametrize("name", ["a", "a/b.png", "./a", "a/../b", "a/b/../../c", "..a", "a..", ".../x", ""])
def test_names_that_stay(name):
    assert not files.leaves_folder(name, any_system=True)


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "/a", "//a/b", "a/../../a/b"])
def test_names_that_leave(name):
    assert files.leaves_folder(name)


@pytest.mark.parametrize("name", [r"..\a", r"a\..\..\b", r"\a", r"C:\a", "c:a", r"\\host\share"])
def test_names_that_leave_on_windows(name):
    assert files.leaves_folder(name, any_system=True)


def test_disk_is_asked_for_before_the_first_byte(tmp_path):
    files.require_disk(tmp_path / "not" / "yet", 1, "a test")
    with pytest.raises(DestinationError, match=r"Not enough disk for a test: 1000000.0 TB needed, .* free at "):
        files.require_disk(tmp_path / "not" / "yet", 10**18, "a test")


def test_one_writer_at_a_time(tmp_path):
    with locks.only_writer(tmp_path / "new"):
        with (
            pytest.raises(DestinationError, match=r"Another process is writing .*new"),
            locks.only_writer(tmp_path / "new"),
        ):
            pass
        with locks.only_writer(tmp_path / "other"):
            pass
    with locks.only_writer(tmp_path / "new"):
        pass


def test_one_writer_among_threads(tmp_path):
    refused, all_tried = [], threading.Barrier(4, timeout=60)

    def write():
        try:
            with locks.only_writer(tmp_path):
                all_tried.wait()
        except DestinationError as error:
            refused.append(error)
            all_tried.wait()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_writer_lets_go(tmp_path):
    code = """if True:
        import sys, time
        from keras_oocore.core import files, locks
        with locks.only_writer(sys.argv[1]):
            print("holding", flush=True)
            time.sleep(60)
    """
    with child(code, tmp_path) as process:
        assert process.stdout.readline() == "holding\n"
        with pytest.raises(DestinationError, match="Wait for it to finish"), locks.only_writer(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    with locks.only_writer(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_meanwhile_does_not_hold_on(tmp_path):
    code = """if True:
        import os, sys, time
        from keras_oocore.core import files, locks
        with locks.only_writer(sys.argv[1]):
            forked = os.fork()
            if not forked:
                time.sleep(60)
                os._exit(0)
        try:
            with locks.only_writer(sys.argv[1]):
                print("held again")
        finally:
            os.kill(forked, 9)
    """
    assert child(code, tmp_path).communicate()[0] == "held again\n"


def test_a_disk_without_locks_is_not_called_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_lock", lambda _: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available")))
    with pytest.raises(DestinationError, match="No locks available"), locks.only_writer(tmp_path):
        pass
