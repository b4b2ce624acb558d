"""Files are written whole or not at all, and what goes wrong is explained."""

import errno
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from keras_oocore.core import files
from keras_oocore.core.errors import DestinationError, SampleError

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
        (errno.EMFILE, "Close some files, or raise the limit before Python starts: ulimit -n 65536$"),
        (errno.ENFILE, "All processes of this machine share this limit"),
        (errno.ENOMEM, "Use a smaller `memory_limit`"),
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


def test_absolute_path_expands_the_home_directory_and_is_normal(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert files.absolute_path("~/cache") == tmp_path / "home" / "cache"
    assert files.absolute_path("a/../cache") == tmp_path / "cache"
