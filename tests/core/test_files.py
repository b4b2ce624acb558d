"""Files are written whole or not at all, and what goes wrong is explained."""

import errno
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, SampleError

TIMEOUT_SECONDS = 300


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_after_writing(file, interruption):
    file.write(b"new")
    raise interruption


def child(code, *arguments):
    """A child process that a timer ends in any case."""
    code = f"import signal; signal.alarm({TIMEOUT_SECONDS})\n{code}"
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_a_file_appears_once_it_is_complete(tmp_path):
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
def test_overwrite(tmp_path, monkeypatch, hard_links):
    if not hard_links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no hard links")))
    path = tmp_path / "file.bin"
    with files.write_whole(path, overwrite=False) as file:
        file.write(b"first")
    with (
        pytest.raises(DestinationError, match="already exists and is not overwritten"),
        files.write_whole(path, overwrite=False) as file,
    ):
        file.write(b"second")
    assert path.read_bytes() == b"first"
    with files.write_whole(path, overwrite=True) as file:
        file.write(b"third")
    assert path.read_bytes() == b"third"
    assert names(tmp_path) == ["file.bin"]


def test_durable_writes_wait_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files.write_whole(tmp_path / "a", durable=False):
        pass
    assert not synced
    with files.write_whole(tmp_path / "a"):
        pass
    assert len(synced) == 2  # the file and the folder that names it


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    code = """if True:
        import resource, sys
        from keras_oocore.core import files
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            with files.write_whole(sys.argv[1]) as file:
                file.write(bytes(5000))
        except files.DestinationError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # for `make coverage`
    """
    said = child(code, path).communicate(timeout=TIMEOUT_SECONDS)[0]
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
def test_errors_of_the_system_are_explained_with_a_remedy(tmp_path, code, remedy):
    expected = pytest.raises(DestinationError, match=rf"Cannot write '.*file.bin'.*{remedy}")
    with expected as caught, files.explained(tmp_path / "file.bin"):
        raise OSError(code, os.strerror(code))
    assert caught.value.__cause__.errno == code
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_write_whole_into_a_path_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="Cannot write"), files.write_whole(tmp_path / "file" / "x"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_leaves_the_old_file_and_a_leftover_to_remove(tmp_path):
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
            time.sleep(300)
    """
    with child(code, path) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    assert files.remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == [".keras_oocore-lock", "file.bin"]


def test_remove_leftovers_removes_folders_and_keeps_targets_of_links(tmp_path):
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


def test_remove_leftovers_continues_after_a_failure(tmp_path, monkeypatch):
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


def test_save_and_load_array(tmp_path):
    array = np.array(["a.png", "ünï 1.png", "\U0001f98a\n.png", "b\udcff.png"])
    path = files.save_array(tmp_path / "names.npy", array)
    np.testing.assert_array_equal(files.load_array(path), array)


def test_arrays_of_objects_are_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        files.save_array(tmp_path / "a.npy", np.array([None, {}], dtype=object))
    assert names(tmp_path) == []
    np.save(tmp_path / "b.npy", np.array(["a.png", None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"b\.npy.*pickled.*Save it again"):
        files.load_array(tmp_path / "b.npy")


def test_load_array_names_damaged_and_missing_files(tmp_path):
    path = files.save_array(tmp_path / "a.npy", np.arange(1000))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.npy' is not a complete \.npy file"):
        files.load_array(path)
    (tmp_path / "zero.npy").touch()
    with pytest.raises(DataError, match=r"zero\.npy' is not a complete \.npy file"):
        files.load_array(tmp_path / "zero.npy")
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.npy': No such file"):
        files.load_array(tmp_path / "gone.npy")


def test_an_unreadable_source_is_not_reported_as_the_destination(tmp_path):
    with (
        pytest.raises(SampleError, match=r"Cannot read '.*gone\.png'"),
        files.write_whole(tmp_path / "copy.png") as file,
    ):
        file.writelines(files.read_chunks(tmp_path / "gone.png"))
    assert names(tmp_path) == []


def test_read_chunks(tmp_path):
    content = np.random.default_rng(0).bytes(2 * files.CHUNK_BYTES + 17)
    (tmp_path / "a").write_bytes(content)
    chunks = list(files.read_chunks(tmp_path / "a"))
    assert [len(chunk) for chunk in chunks] == [files.CHUNK_BYTES, files.CHUNK_BYTES, 17]
    assert b"".join(chunks) == content


@pytest.mark.parametrize("name", ["a", "a/b.png", "./a", "a/../b", "a/b/../../c", "..a", "a..", ".../x", ""])
def test_leaves_folder_is_false_inside(name):
    assert not files.leaves_folder(name, any_system=True)


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "/a", "//a/b", "a/../../a/b"])
def test_leaves_folder_is_true_outside(name):
    assert files.leaves_folder(name)


@pytest.mark.parametrize("name", [r"..\a", r"a\..\..\b", r"\a", r"C:\a", "c:a", r"\\host\share"])
def test_leaves_folder_on_windows(name):
    assert files.leaves_folder(name, any_system=True)


def test_require_disk(tmp_path):
    files.require_disk(tmp_path / "not" / "yet", 1, "a test")
    with pytest.raises(DestinationError, match=r"Not enough disk for a test: 1000000.0 TB needed, .* free at "):
        files.require_disk(tmp_path / "not" / "yet", 10**18, "a test")
