"""The one place that touches the paths of data."""

import errno
import os

import pytest
from failing_disk import failing_disk

from keras_oocore.core import storage


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b.png").write_bytes(b"12345")
    (tmp_path / "a.png").touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.png").touch()
    os.utime(tmp_path / "b.png", ns=(0, 1_700_000_000_123_456_789))
    return tmp_path


def links_are_supported(folder):
    try:
        (folder / "link.png").symlink_to(folder / "b.png")
        (folder / "broken.png").symlink_to(folder / "gone.png")
    except OSError:  # Windows asks for a privilege
        return False
    return True


@pytest.mark.parametrize("buffered", [True, False])
def test_open_file(folder, buffered):
    with storage.open_file(folder / "b.png", buffered) as file:
        file.seek(3)
        assert file.read() == b"45"
        assert file.mode == "rb"


def test_status_and_stamp(folder):
    changed_ns = os.stat(folder / "b.png").st_mtime_ns
    assert storage.status(folder / "b.png") == (5, changed_ns, True, False)
    assert storage.stamp(folder / "b.png") == (5, changed_ns)
    assert storage.status(folder / "deep").is_directory
    assert not storage.status(folder / "deep").is_file


def test_missing_paths(folder):
    gone = folder / "gone.png"
    assert storage.stamp(gone) == storage.stamp(folder / "b.png" / "x") == storage.GONE == (-1, -1)
    assert not storage.exists(gone)
    assert not storage.is_directory(gone)
    for function in (storage.open_file, storage.status, storage.identity, storage.scan):
        with pytest.raises(FileNotFoundError):
            function(gone)


def test_exists_and_is_directory(folder):
    assert storage.exists(folder / "b.png")
    assert storage.exists(folder)
    assert storage.is_directory(folder)
    assert not storage.is_directory(folder / "b.png")


def test_links_are_followed(folder):
    if not links_are_supported(folder):
        pytest.skip("needs links")
    assert storage.stamp(folder / "link.png") == storage.stamp(folder / "b.png")
    assert storage.identity(folder / "link.png") == storage.identity(folder / "b.png")
    assert storage.identity(folder / "a.png") != storage.identity(folder / "b.png")
    assert not storage.exists(folder / "broken.png")


def test_scan(folder):
    with storage.scan(folder) as entries:
        assert {(entry.name, entry.is_dir()) for entry in entries} == {
            ("a.png", False),
            ("b.png", False),
            ("deep", True),
        }


def test_match_returns_sorted_files(folder):
    assert storage.match(f"{folder}/*") == [str(folder / "a.png"), str(folder / "b.png")]
    assert storage.match(f"{folder}/**/[bc].png") == [str(folder / "b.png"), str(folder / "deep" / "c.png")]
    assert storage.match(f"{folder}/*.jpg") == []


def test_absolute_path_stays_valid_in_another_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    path = storage.absolute("b.png")
    monkeypatch.chdir(folder / "deep")

    assert storage.stamp(path)[0] == 5
    assert storage.absolute(path) == path


def test_local_path(folder):
    assert storage.local_path(folder / "b.png") == str(folder / "b.png")
    assert storage.local_path("b.png") == "b.png"


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png"], ids=ascii)
def test_a_name_that_no_file_can_have_is_a_missing_file(tmp_path, name):
    path = os.path.join(tmp_path, name)
    assert storage.stamp(path) == storage.GONE
    with pytest.raises(FileNotFoundError, match="no file can have this name"):
        storage.status(path)


def test_stamp_of_a_file_whose_disk_fails_is_unknown(tmp_path, monkeypatch):
    assert storage.stamp(tmp_path / "missing") == storage.GONE
    monkeypatch.setattr(os, "stat", lambda path: (_ for _ in ()).throw(OSError(errno.ESTALE, "Stale file handle")))
    assert storage.stamp(tmp_path) == storage.UNKNOWN


def test_first_bytes_are_tried_again(tmp_path, monkeypatch):
    disk = failing_disk(monkeypatch)
    (tmp_path / "0.csv").write_bytes(b"a,b\n")
    disk.fail(errno.EIO, ["0.csv"], times=2)

    assert storage.first_bytes(tmp_path / "0.csv", 2) == b"a,"
    assert storage.first_bytes(tmp_path / "0.csv", 16) == b"a,b\n"
    with pytest.raises(FileNotFoundError):
        storage.first_bytes(tmp_path / "1.csv", 2)
