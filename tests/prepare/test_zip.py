"""`zip_folder` and `unzip_folder`: complete, resumable, and never outside the destination."""

import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from trees import make_tree

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.prepare import flatten_images, unzip_folder, zip_folder
from keras_oocore.prepare import zip as zip_module

TREE = ("cat/001.png", "cat/a b.png", "dog/日本\U0001f98a.png", "new\nline.txt")


def zipped(directory, destination=None, **options):
    return zip_folder(directory, destination, progress=False, **options)


def unzipped(zip_path, destination=None):
    return unzip_folder(zip_path, destination, progress=False)


def written(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, b"content")
    return path


@pytest.fixture
def photos(tmp_path):
    return make_tree(tmp_path / "photos", *TREE, repeat=100)


def test_zip_and_unzip(tmp_path, photos):
    path = zipped(photos)
    assert path == tmp_path / "photos.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"photos/{name}" for name in TREE]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None
    assert unzipped(path, tmp_path / "there") == tmp_path / "there"
    for name in TREE:
        assert (tmp_path / "there" / "photos" / name).read_bytes() == (photos / name).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["photos", "photos.zip", "there"]


def test_unzip_default_destination(tmp_path, photos):
    os.mkdir(tmp_path / "elsewhere")
    path = zipped(photos, tmp_path / "elsewhere" / "some.zip")
    assert unzipped(path) == tmp_path / "elsewhere"
    assert (tmp_path / "elsewhere" / "photos" / TREE[0]).exists()


def test_zip_is_deterministic(tmp_path, photos):
    assert zipped(photos, tmp_path / "a.zip").read_bytes() == zipped(photos, tmp_path / "b.zip").read_bytes()


def test_zip_default_destination(tmp_path, photos, monkeypatch):
    os.rename(photos, tmp_path / "photos.v1")
    monkeypatch.chdir(tmp_path)
    assert zipped("photos.v1") == Path("photos.v1.zip")
    assert zipped("photos.v1/", overwrite=True) == Path("photos.v1.zip")
    monkeypatch.chdir(tmp_path / "photos.v1")
    assert zipped(".", overwrite=True) == tmp_path / "photos.v1.zip"
    with zipfile.ZipFile(tmp_path / "photos.v1.zip") as archive:
        assert archive.namelist()[0] == "photos.v1/cat/001.png"
    with pytest.raises(OptionError, match="should be a folder with a name"):
        zipped("/")


def test_links_are_stored_as_their_content(tmp_path, photos):
    make_tree(tmp_path / "elsewhere", "deep/1.png", repeat=100)
    os.symlink("001.png", photos / "cat" / "linked.png")
    os.symlink("..", photos / "cat" / "up")
    os.symlink(tmp_path / "elsewhere", photos / "more")
    with zipfile.ZipFile(zipped(photos)) as archive:
        assert archive.read("photos/cat/linked.png") == (photos / TREE[0]).read_bytes()
        assert archive.read("photos/more/deep/1.png") == b"deep/1.png" * 100
        assert len(archive.namelist()) == len(TREE) + 2


def test_flattened_symlinks_are_stored_as_images(tmp_path):
    make_tree(tmp_path / "photos", "cat/1.png", repeat=100)
    flatten_images(tmp_path / "photos", tmp_path / "all", mode="symlink", progress=False)
    with zipfile.ZipFile(zipped(tmp_path / "all")) as archive:
        assert archive.namelist() == ["all/cat__1.png"]  # without the lock file
        assert archive.read("all/cat__1.png") == b"cat/1.png" * 100
        assert not stat.S_ISLNK(archive.infolist()[0].external_attr >> 16)


def test_zip_does_not_contain_itself(tmp_path, photos):
    inside = photos / "photos.zip"
    zipped(photos, inside)
    zipped(photos, inside, overwrite=True)
    with zipfile.ZipFile(inside) as archive:
        assert archive.namelist() == [f"photos/{name}" for name in TREE]


def test_empty_folders_are_stored(tmp_path, photos):
    (photos / "emu" / "young").mkdir(parents=True)
    unzipped(zipped(photos), tmp_path / "there")
    assert (tmp_path / "there" / "photos" / "emu" / "young").is_dir()


def test_old_times_and_zip64(tmp_path, photos, monkeypatch):
    os.utime(photos / TREE[0], (0, 0))  # 1970, while the times of a zip start in 1980
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 300)  # some files are "larger than 4 GB"
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    path = zipped(photos)
    monkeypatch.undo()
    assert zipfile.ZipFile(path).infolist()[0].date_time[0] == 1980
    unzipped(path, tmp_path / "there")
    assert (tmp_path / "there" / "photos" / TREE[3]).read_bytes() == (photos / TREE[3]).read_bytes()


def test_overwrite(tmp_path, photos):
    (tmp_path / "photos.zip").write_bytes(b"mine")
    with pytest.raises(DestinationError, match=r"photos\.zip' already exists and is not overwritten.*overwrite=True"):
        zipped(photos)
    assert (tmp_path / "photos.zip").read_bytes() == b"mine"
    assert zipfile.is_zipfile(zipped(photos, overwrite=True))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DestinationError, match="already exists and is not overwritten"):
        zipped(photos, tmp_path / "folder", overwrite=True)


def test_invalid_directory_raises(tmp_path, photos):
    with pytest.raises(DataError, match=r"does not exist.*Did you mean 'photos'\?"):
        zipped(tmp_path / "fotos")
    with pytest.raises(DataError, match="is a file"):
        zipped(photos / TREE[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty: there is nothing to zip"):
        zipped(tmp_path / "empty")
    os.symlink("nowhere", photos / "broken.png")
    with pytest.raises(SampleError, match=r"Cannot zip '.*broken\.png': it is a broken link"):
        zipped(photos)
    os.unlink(photos / "broken.png")
    os.mkfifo(photos / "pipe")
    with pytest.raises(SampleError, match=r"Cannot zip '.*pipe'.*not a regular file"):
        zipped(photos)
    os.unlink(photos / "pipe")
    make_tree(photos, "\udcff.png")
    with pytest.raises(DataError, match=r"its name is not valid Unicode. Rename it"):
        zipped(photos)
    assert not (tmp_path / "photos.zip").exists()


def test_unreadable_file_leaves_no_zip(tmp_path, photos, monkeypatch):
    def refuse(path):
        raise SampleError(f"Cannot read {str(path)!r}: Input/output error.")
        yield

    monkeypatch.setattr(zip_module, "read_chunks", refuse)
    with pytest.raises(SampleError, match=r"001\.png': Input/output error"):
        zipped(photos)
    assert os.listdir(tmp_path) == ["photos"]


def test_disk_space_is_checked_first(tmp_path, photos, monkeypatch):
    asked = []
    monkeypatch.setattr(zip_module, "require_disk", lambda folder, needed, what: asked.append((folder, needed)))
    path = zipped(photos)
    unzipped(path, tmp_path / "there")
    content_bytes = sum((photos / name).stat().st_size for name in TREE)
    assert [folder for folder, _ in asked] == [tmp_path, tmp_path / "there"]
    assert asked[0][1] >= path.stat().st_size > content_bytes == asked[1][1]


@pytest.mark.skipif(sys.platform == "win32", reason="requires POSIX limits")
def test_full_disk_leaves_no_zip(tmp_path, photos):
    code = """if True:
        import resource, sys
        from keras_oocore.prepare import unzip_folder, zip_folder
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
        for work, path in ((zip_folder, sys.argv[1]), (unzip_folder, sys.argv[2])):
            try:
                work(path, progress=False)
            except OSError as error:
                print(type(error).__name__, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # for `make coverage`
    """
    os.mkdir(tmp_path / "there")
    path = zipped(photos, tmp_path / "there" / "x.zip")
    command = [sys.executable, "-c", code, photos, path]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300).stdout
    assert output.count("DestinationError Cannot write") == 2
    assert "photos.zip" in output
    assert sorted(os.listdir(tmp_path)) == ["photos", "there"]
    assert not list((tmp_path / "there").rglob(".keras_oocore-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="requires SIGKILL")
def test_sigkill_leaves_no_zip(tmp_path, photos):
    code = """if True:
        import sys, time
        from keras_oocore.prepare import zip as zip_module
        def slow(path, real=zip_module.read_chunks):
            yield from real(path)
            print("reading", flush=True)
            time.sleep(300)
        zip_module.read_chunks = slow
        zip_module.zip_folder(sys.argv[1], progress=False)
    """
    with subprocess.Popen([sys.executable, "-c", code, photos], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "photos.zip").exists()
    assert zipfile.is_zipfile(zipped(photos))
    assert files.remove_leftovers(tmp_path) == 1


def test_progress_is_shown_in_bytes(photos, capsys):
    unzip_folder(zip_folder(photos), photos.parent / "there")
    assert capsys.readouterr().err.count("B/s") >= 2


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", r"..\evil.txt", r"a\..\..\evil.txt", r"C:\evil.txt", "c:evil"],
)
def test_name_outside_destination_raises(tmp_path, name):
    path = written(tmp_path / "evil.zip", "good.txt", name)
    with pytest.raises(DataError, match=r"is outside the folder to unpack into. Nothing was unpacked") as caught:
        unzipped(path, tmp_path / "deep" / "there")
    assert repr(name) in str(caught.value)
    assert os.listdir(tmp_path) == ["evil.zip"]


def test_link_in_zip_raises(tmp_path):
    link = zipfile.ZipInfo("innocent")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="contains the link 'innocent'"):
        unzipped(written(tmp_path / "evil.zip", link), tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_encrypted_zip_raises(tmp_path, photos):
    path = zipped(photos)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        unzipped(path, tmp_path / "there")


def test_unzip_again_resumes_and_does_not_overwrite(tmp_path, photos):
    path = zipped(photos)
    there = unzipped(path, tmp_path / "there") / "photos"
    (there / TREE[1]).unlink()
    before = (there / TREE[0]).stat().st_mtime_ns
    time.sleep(0.01)
    unzipped(path, tmp_path / "there")
    assert (there / TREE[1]).exists()
    assert (there / TREE[0]).stat().st_mtime_ns == before
    (there / TREE[0]).write_bytes(bytes(len(TREE[0]) * 100))
    with pytest.raises(DestinationError, match=r"001\.png' already exists and is not overwritten"):
        unzipped(path, tmp_path / "there")
    assert (there / TREE[0]).read_bytes() == bytes(len(TREE[0]) * 100)
    (there / TREE[0]).write_bytes(b"shorter")
    with pytest.raises(DestinationError, match="already exists and is not overwritten"):
        unzipped(path, tmp_path / "there")


def test_damaged_zip_raises(tmp_path, photos):
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.zip': No such file"):
        unzipped(tmp_path / "gone.zip")
    with pytest.raises(DataError, match=r"001\.png' is not a complete zip file"):
        unzipped(photos / TREE[0])
    path = zipped(photos)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"photos\.zip' is not a complete zip file"):
        unzipped(path, tmp_path / "there")
    path.write_bytes(content.replace(b"cat/001.pngcat", b"cat/001.pngCAT", 1))
    with pytest.raises(DataError, match=r"is not a complete zip file: Bad CRC-32 for file 'photos/cat/001\.png'"):
        unzipped(path, tmp_path / "there")
    assert not [path for path in (tmp_path / "there").rglob("*") if path.is_file()]
