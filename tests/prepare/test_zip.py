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

from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.core.temporary import temporary_file
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
    assert len(list(tmp_path.glob(".keras_oocore-*"))) == 1
    assert zipfile.is_zipfile(zipped(photos))
    assert sorted(os.listdir(tmp_path)) == ["photos", "photos.zip"]


def test_zip_leaves_temporary_files_of_other_runs_alone(tmp_path, photos):
    with temporary_file(tmp_path / "other.zip") as other:
        other.write(b"half")
        unzipped(zipped(photos), tmp_path)
        assert os.path.exists(other.name)
    assert sorted(os.listdir(tmp_path)) == ["photos", "photos.zip"]


@pytest.mark.skipif(sys.platform == "win32", reason="requires SIGKILL")
def test_sigkill_leaves_no_file_and_unzip_resumes(tmp_path, photos):
    code = """if True:
        import sys, time
        from keras_oocore.prepare import zip as zip_module
        def slow(archive, info, zip_name, real=zip_module._read_member):
            yield from real(archive, info, zip_name)
            if info.filename.endswith("a b.png"):
                print("reading", flush=True)
                time.sleep(300)
        zip_module._read_member = slow
        zip_module.unzip_folder(sys.argv[1], sys.argv[2], progress=False)
    """
    path, there = zipped(photos), tmp_path / "there"
    with subprocess.Popen([sys.executable, "-c", code, path, there], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGKILL)
    cats = there / "photos" / "cat"
    assert [name[:14] for name in sorted(os.listdir(cats))] == [".keras_oocore-", "001.png"]
    unzipped(path, there)
    assert sorted(os.listdir(cats)) == ["001.png", "a b.png"]


@pytest.mark.parametrize("name", [".keras_oocore-moved-01234567.npz", ".keras_oocore-commit", ".Keras_OOcore-lock"])
@pytest.mark.parametrize("folder", ["", "all/", "all/deeper\\"])
def test_hidden_files_of_keras_oocore_are_left_out(tmp_path, name, folder):
    path = written(tmp_path / "x.zip", "all/good.txt", folder + name, f"{folder}{name}/more.txt")
    unzipped(path, tmp_path / "there")
    assert [file.name for file in (tmp_path / "there").rglob("*") if file.is_file()] == ["good.txt"]


def test_a_size_that_the_zip_cannot_have_is_damage_and_not_a_small_disk(tmp_path, photos):
    path = zipped(photos)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 20
    content[at : at + 8] = b"\xfe\xff\xff\xff" * 2
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"photos\.zip' is not a complete zip file: the size of 'photos/cat/001\.png'"):
        unzipped(path, tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_compressed_content_is_reported_as_the_zip_and_not_the_destination(tmp_path, method):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bin", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    num_errors = 0
    for at in range(40, content.index(b"PK\x01\x02"), 9):
        damaged, there = bytearray(content), tmp_path / str(at)
        damaged[at] ^= 255
        path.write_bytes(damaged)
        try:
            unzipped(path, there)
        except DataError as error:
            assert "x.zip'" in str(error)  # noqa: PT017
            assert not [file for file in there.rglob("*") if file.is_file()]
            num_errors += 1
        else:  # a bit after the end of the content
            assert (there / "a.bin").read_bytes() == bytes(range(256)) * 40
    assert num_errors > 2


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
