"""`flatten_images`: four modes, interrupted runs, and destinations that cannot be written."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from trees import make_tree

from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.core.temporary import TEMPORARY_PREFIX
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.prepare import flatten, flatten_images, transfer

MODES = ["copy", "hardlink", "symlink", "move"]


TREE = ("cat/001.png", "cat/indoors/001.png", "dog/001.png", "dog/002.JPG")


FLAT = ["cat__001.png", "cat__indoors__001.png", "dog__001.png", "dog__002.JPG"]


def contents(manifest):
    return [Path(path).read_bytes().decode(errors="surrogateescape") for path in manifest.file_paths]


def visible(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def temporary(folder):
    return [name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX) and len(name) == 30]


def flattened(source, destination, **options):
    return flatten_images(source, destination, progress=False, **options)


@pytest.fixture
def photos(tmp_path):
    return make_tree(tmp_path / "photos", *TREE)


@pytest.mark.parametrize("mode", MODES)
def test_mode_collects_all_images_with_their_labels(tmp_path, photos, mode):
    made = flattened(photos, tmp_path / "all", mode=mode)
    assert made.filenames.tolist() == FLAT
    assert made.labels.tolist() == [0, 0, 1, 1]
    assert made.labels.dtype == np.int32
    assert made.class_names == ["cat", "dog"]
    assert made.directory == tmp_path / "all"
    assert contents(made) == list(TREE)
    assert visible(tmp_path / "all") == FLAT
    assert not temporary(tmp_path / "all")
    assert (photos / TREE[0]).exists() == (mode != "move")
    made.save(tmp_path / "saved")
    assert contents(Manifest.load(tmp_path / "saved")) == list(TREE)


@pytest.mark.parametrize("mode", MODES)
def test_second_run_changes_nothing(tmp_path, photos, mode):
    first = flattened(photos, tmp_path / "all", mode=mode)
    before = {name: os.lstat(tmp_path / "all" / name) for name in visible(tmp_path / "all")}
    again = flattened(photos, tmp_path / "all", mode=mode)
    assert again.filenames.tolist() == first.filenames.tolist()
    assert again.labels.tolist() == first.labels.tolist()
    after = {name: os.lstat(tmp_path / "all" / name) for name in visible(tmp_path / "all")}
    assert {name: (s.st_ino, s.st_mtime_ns) for name, s in before.items()} == {
        name: (s.st_ino, s.st_mtime_ns) for name, s in after.items()
    }


def test_copy_keeps_the_modification_time(tmp_path, photos):
    os.utime(photos / TREE[0], (10**9, 10**9))
    made = flattened(photos, tmp_path / "all")
    assert os.stat(made.path(0)).st_mtime == 10**9
    assert os.stat(made.path(0)).st_nlink == 1


def test_hardlink_is_the_same_file(tmp_path, photos):
    os.symlink("001.png", photos / "cat" / "linked.png")
    made = flattened(photos, tmp_path / "all", mode="hardlink")
    assert os.path.samefile(made.path(0), photos / TREE[0])
    linked = tmp_path / "all" / "cat__linked.png"
    assert os.path.samefile(linked, photos / TREE[0])
    assert not linked.is_symlink()


def test_symlink_is_relative(tmp_path):
    make_tree(tmp_path / "project" / "photos", *TREE)
    made = flattened(tmp_path / "project" / "photos", tmp_path / "project" / "deep" / "all", mode="symlink")
    assert os.readlink(made.path(0)) == "../../photos/cat/001.png"
    os.rename(tmp_path / "project", tmp_path / "renamed")
    assert (tmp_path / "renamed" / "deep" / "all" / FLAT[0]).read_bytes() == TREE[0].encode()


def test_symlink_to_a_link(tmp_path, photos):
    os.symlink("001.png", photos / "cat" / "linked.png")
    made = flattened(photos, tmp_path / "all", mode="symlink")
    assert Path(made.path(1)).read_bytes() == TREE[0].encode()


def test_symlink_in_a_linked_destination(tmp_path, photos):
    (tmp_path / "far" / "away").mkdir(parents=True)
    os.symlink(tmp_path / "far" / "away", tmp_path / "all")
    assert contents(flattened(photos, tmp_path / "all", mode="symlink")) == list(TREE)


def test_move_replaces_links_by_their_content(tmp_path):
    photos = make_tree(tmp_path / "photos", "cat/b.png")
    os.symlink("b.png", photos / "cat" / "c.png")
    os.symlink("b.png", photos / "cat" / "a.png")
    made = flattened(photos, tmp_path / "all", mode="move")
    assert contents(made) == ["cat/b.png"] * 3
    assert not any(Path(path).is_symlink() for path in made.file_paths)
    assert not list((photos / "cat").iterdir())


def test_destination_inside_directory(tmp_path, photos, monkeypatch):
    (photos / "all_images").mkdir()
    first = flattened(photos, photos / "all_images")
    assert first.class_names == ["cat", "dog"]
    assert flattened(photos, photos / "all_images").filenames.tolist() == FLAT
    monkeypatch.chdir(photos)
    assert flattened(".", "all_images").filenames.tolist() == FLAT
    assert Manifest.from_directory(photos).class_names == ["cat", "dog"]
    assert len(Manifest.from_directory(photos / "all_images", labels=None)) == 4


def test_default_destination(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = flatten_images("photos", progress=False)
    assert made.path(0) == os.path.join("all_images", FLAT[0])
    assert os.path.exists(tmp_path / "all_images" / FLAT[0])


def test_unusual_names_and_extensions(tmp_path):
    names = ["cl ass/a b.npy", "cl ass/日本.npy", "cl ass/\U0001f98a.NPY", "cl ass/new\nline.npy", "cl ass/\udcff.npy"]
    made = flattened(make_tree(tmp_path / "data", *names, "cl ass/x.png"), tmp_path / "all", extensions="npy")
    assert sorted(contents(made)) == sorted(names)
    assert made.skipped == {"other extension": 1}
    assert {"cl ass__a b.npy", "cl ass__日本.npy", "cl ass__\U0001f98a.NPY"} < set(made.filenames)


def test_class_names_set_the_order(tmp_path, photos):
    made = flattened(photos, tmp_path / "all", class_names=["dog", "cat"])
    assert made.filenames.tolist() == FLAT[2:] + FLAT[:2]
    assert made.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="'dgo'"):
        flattened(photos, tmp_path / "all", class_names=["dgo"])


def test_progress_reports_skipped_files(tmp_path, photos, capsys):
    make_tree(photos, "cat/.DS_Store", "cat/notes.txt", "cat/Thumbs.db")
    flatten_images(photos, tmp_path / "all")
    captured = capsys.readouterr()
    assert "4 files of 2 classes" in captured.out
    assert "Skipped: " in captured.out
    for reason in ("1 hidden", "1 other extension", "1 left by the operating system"):
        assert reason in captured.out
    assert "4/4" in captured.err
    flatten_images(photos, tmp_path / "all", progress=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_empty_class_warns(tmp_path):
    photos = make_tree(tmp_path / "photos", "cat/1.png")
    (photos / "dog").mkdir()
    with pytest.warns(UserWarning, match="without samples: 'dog'") as warned:
        made = flattened(photos, tmp_path / "all")
    assert warned[0].filename == __file__
    assert made.class_names == ["cat", "dog"]


@pytest.mark.parametrize("mode", MODES)
def test_file_with_other_content_is_not_overwritten(tmp_path, photos, mode):
    make_tree(tmp_path / "all", FLAT[2])  # with other content
    with pytest.raises(
        DestinationError, match=r"dog__001\.png' exists and is not .*dog/001\.png'\. Neither file was changed"
    ):
        flattened(photos, tmp_path / "all", mode=mode)
    assert (tmp_path / "all" / FLAT[2]).read_bytes() == FLAT[2].encode()
    assert (photos / TREE[2]).read_bytes() == TREE[2].encode()
    (tmp_path / "all" / FLAT[2]).unlink()
    assert contents(flattened(photos, tmp_path / "all", mode=mode)) == list(TREE)


def test_file_of_the_same_size_is_compared(tmp_path, photos):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / FLAT[0]).write_bytes(TREE[0].encode()[::-1])
    with pytest.raises(DestinationError, match="is not a copy of"):
        flattened(photos, tmp_path / "all")


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_file_with_the_same_content_is_kept(tmp_path, photos, mode):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / FLAT[0]).write_bytes(TREE[0].encode())
    assert contents(flattened(photos, tmp_path / "all", mode=mode)) == list(TREE)


@pytest.mark.parametrize("mode", ["copy", "move", "hardlink"])
def test_link_is_not_accepted_as_a_copy(tmp_path, photos, mode):
    flattened(photos, tmp_path / "all", mode="symlink")
    with pytest.raises(DestinationError, match="exists and is not a"):
        flattened(photos, tmp_path / "all", mode=mode)
    assert (photos / TREE[0]).read_bytes() == TREE[0].encode()  # a move would have lost the file


def test_invalid_options_raise(tmp_path, photos):
    with pytest.raises(OptionError, match=r"'copy', 'hardlink', 'symlink', 'move'\. Received: mode='cp'"):
        flattened(photos, tmp_path / "all", mode="cp")
    with pytest.raises(OptionError, match="should not be the same folder as `directory`"):
        flattened(photos, photos)


def test_invalid_directory_creates_no_destination(tmp_path):
    (tmp_path / "empty").mkdir()
    make_tree(tmp_path / "loose", "1.png")
    for source, words in (("gone", "does not exist"), ("empty", "is empty"), ("loose", "no class folders")):
        with pytest.raises(DataError, match=words):
            flattened(tmp_path / source, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_unreadable_file_raises(tmp_path, photos, monkeypatch):
    real = open

    def refuse(path, *arguments, **options):
        if str(path).endswith("dog/001.png"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(SampleError, match=r"Cannot read '.*dog/001\.png': Permission denied"):
        flattened(photos, tmp_path / "all")
    monkeypatch.undo()
    assert not temporary(tmp_path / "all")
    assert visible(tmp_path / "all") == FLAT[:2]


def test_disk_space_is_checked_first(tmp_path, photos, monkeypatch):
    asked = []

    def require(directory, needed_bytes, what):
        asked.append(needed_bytes)
        raise DestinationError("Not enough disk")

    monkeypatch.setattr(flatten, "require_disk", require)
    with pytest.raises(DestinationError, match="Not enough disk"):
        flattened(photos, tmp_path / "all")
    assert asked == [4 * 4096]
    assert visible(tmp_path / "all") == []
    for mode in ("hardlink", "symlink", "move"):
        flattened(photos, tmp_path / mode, mode=mode)
    assert len(asked) == 1


@pytest.mark.parametrize("mode", MODES)
def test_full_disk_raises_and_loses_no_file(tmp_path, photos, monkeypatch, mode):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        for name in ("link", "symlink", "rename", "utime"):
            patch.setattr(os, name, full)
        with pytest.raises(DestinationError, match="No space left on device"):
            flattened(photos, tmp_path / "all", mode=mode)
    assert visible(tmp_path / "all") == []
    assert not temporary(tmp_path / "all")
    assert contents(flattened(photos, tmp_path / "all", mode=mode)) == list(TREE)


@pytest.mark.skipif(sys.platform == "win32", reason="requires POSIX limits")
def test_file_size_limit_leaves_no_partial_file(tmp_path, photos):
    (photos / "dog" / "003.png").write_bytes(bytes(5000))
    code = """if True:
        import resource, sys
        from keras_oocore.prepare import flatten_images
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            flatten_images(sys.argv[1], sys.argv[2], progress=False)
        except OSError as error:
            print(type(error).__name__, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # for `make coverage`
    """
    output = subprocess.run(
        [sys.executable, "-c", code, photos, tmp_path / "all"], stdout=subprocess.PIPE, text=True, timeout=300
    ).stdout
    assert "DestinationError Cannot write" in output
    assert "dog__003.png" in output
    assert visible(tmp_path / "all") == FLAT
    assert not temporary(tmp_path / "all")


def test_unwritable_destination_raises(tmp_path, photos):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"Cannot write '.*file'"):
        flattened(photos, tmp_path / "file")
    with pytest.raises(DestinationError, match=r"Cannot write '.*file/deeper'"):
        flattened(photos, tmp_path / "file" / "deeper")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="requires a file system that root cannot write to")
def test_read_only_destination_raises(photos):
    with pytest.raises(DestinationError, match=r"Cannot write '/sys/kernel/all'.*"):
        flattened(photos, "/sys/kernel/all")


def other_disk(*_, **__):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_hardlink_between_disks_raises(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(os, "link", other_disk)
    with pytest.raises(DestinationError, match=r'Cannot hardlink .*Invalid cross-device link.*mode="copy"'):
        flattened(photos, tmp_path / "all", mode="hardlink")


@pytest.fixture
def between_disks(monkeypatch):
    """Makes links and renames from `photos` to `all` fail, as between disks."""
    for name in ("link", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda a, b, real=real: other_disk() if "photos" in str(a) else real(a, b))


def test_move_between_disks_copies_then_removes(tmp_path, photos, between_disks, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(1), real(descriptor)))
    os.utime(photos / TREE[0], (10**9, 10**9))
    made = flattened(photos, tmp_path / "all", mode="move")
    assert contents(made) == list(TREE)
    assert not (photos / TREE[0]).exists()
    assert os.stat(made.path(0)).st_mtime == 10**9
    assert len(synced) >= 2 * len(TREE)  # each file and its folder, before the source is removed


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="requires a second disk")
def test_move_to_another_disk(tmp_path, photos):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as destination:
        if os.stat(destination).st_dev == os.stat(photos).st_dev:
            pytest.skip("/dev/shm is on the same disk")
        with pytest.raises(DestinationError, match=r'Cannot hardlink .*mode="copy"'):
            flattened(photos, destination, mode="hardlink")
        assert contents(flattened(photos, destination, mode="move")) == list(TREE)
        assert contents(flattened(photos, destination, mode="move")) == list(TREE)
        assert not list(photos.rglob("*.png"))


@pytest.mark.parametrize("step", range(4))
def test_move_between_disks_resumes_before_removing(tmp_path, photos, between_disks, monkeypatch, step):
    real, removed = os.unlink, []

    def unlink(path, *arguments, **options):
        if "photos" in str(path):
            if len(removed) == step:
                raise KeyboardInterrupt
            removed.append(path)
        real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            flattened(photos, tmp_path / "all", mode="move")
    made = flattened(photos, tmp_path / "all", mode="move")
    assert contents(made) == list(TREE)
    assert made.labels.tolist() == [0, 0, 1, 1]
    assert not list(photos.rglob("*.png"))


@pytest.mark.parametrize(
    ("mode", "step"), [("copy", 0), ("copy", 3), ("hardlink", 1), ("symlink", 1), ("move", 1), ("move", 3)]
)
def test_keyboard_interrupt_and_resume(tmp_path, photos, monkeypatch, mode, step):
    real, transferred = transfer.MODES[mode], []

    def interrupted(*arguments):
        if len(transferred) == step:
            raise KeyboardInterrupt
        transferred.append(arguments)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setitem(transfer.MODES, mode, interrupted)
        with pytest.raises(KeyboardInterrupt):
            flattened(photos, tmp_path / "all", mode=mode)
    assert visible(tmp_path / "all") == FLAT[:step]
    made = flattened(photos, tmp_path / "all", mode=mode)
    assert made.filenames.tolist() == FLAT
    assert contents(made) == list(TREE)


def test_moved_files_are_recorded(tmp_path, photos):
    flattened(photos, tmp_path / "all", mode="move")
    make_tree(photos, "cat/002.png", "emu/001.png", "cat/Indoors/001.png")
    made = flattened(photos, tmp_path / "all", mode="move")
    assert made.class_names == ["cat", "dog", "emu"]
    assert sorted(contents(made)) == sorted([*TREE, "cat/002.png", "emu/001.png", "cat/Indoors/001.png"])
    assert [made.class_names[label] for label in made.labels] == [content[:3] for content in contents(made)]
    assert set(FLAT) < set(made.filenames)  # the earlier names have not changed
    again = flattened(photos, tmp_path / "all", mode="copy", class_names=["emu", "dog"])
    assert contents(again) == ["emu/001.png", "dog/001.png", "dog/002.JPG"]
    assert again.labels.tolist() == [0, 1, 1]
    with pytest.warns(UserWarning, match="without samples: 'cat', 'emu'"):
        assert contents(flattened(photos, tmp_path / "all", extensions=".jpg")) == ["dog/002.JPG"]


def test_moved_directory_can_be_removed(tmp_path, photos):
    first = flattened(photos, tmp_path / "all", mode="move")
    for folder in ("cat/indoors", "cat", "dog", "."):
        (photos / folder).rmdir()
    again = flattened(photos, tmp_path / "all", mode="move", class_names=["cat", "dog"])
    assert again.filenames.tolist() == first.filenames.tolist()
    (tmp_path / "all" / FLAT[0]).unlink()  # removed by the user
    assert flattened(photos, tmp_path / "all").filenames.tolist() == FLAT[1:]


def test_two_directories_moved_into_one_destination(tmp_path, photos):
    make_tree(tmp_path / "more", "cat/900.png")
    flattened(photos, tmp_path / "all", mode="move")
    assert flattened(tmp_path / "more", tmp_path / "all", mode="move").filenames.tolist() == ["cat__900.png"]
    assert flattened(photos, tmp_path / "all", mode="move").filenames.tolist() == FLAT


def test_damaged_record_of_moved_files_raises(tmp_path, photos):
    flattened(photos, tmp_path / "all", mode="move")
    (plan,) = (tmp_path / "all").glob(".keras_oocore-moved-*.npz")
    plan.write_bytes(plan.read_bytes()[:50])
    with pytest.raises(DataError, match=r"moved-.*npz', which records the moved files, is damaged"):
        flattened(photos, tmp_path / "all", mode="move")


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("cat/001.png", "../../evil.conf"),
        ("cat/001.png", "/tmp/evil.conf"),
        ("cat/001.png", "deeper/evil.conf"),
        ("cat/001.png", r"..\evil.conf"),
        ("cat/001.png", "C:evil.conf"),
        ("cat/001.png", ".."),
        ("cat/001.png", ".bashrc"),
        ("cat/001.png", ".keras_oocore-lock"),
        ("cat/001.png", ""),
        ("../001.png", "cat__001.png"),
        ("/cat/001.png", "cat__001.png"),
        ("001.png", "cat__001.png"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_plan_cannot_name_a_file_outside_the_destination(tmp_path, photos, mode, filename, name):
    """Anyone may have written the hidden file, for example into a zip file."""
    plan = flatten._plan_path(photos, tmp_path / "deep" / "all")
    plan.parent.mkdir(parents=True)
    np.savez_compressed(plan, filenames=np.array([filename]), names=np.array([name]))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"moved-.*npz', which records the moved files, is damaged: it names"):
        flattened(photos, plan.parent, mode=mode)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plan_of_a_huge_array_is_damaged(tmp_path, photos):
    header = b"{'descr': '<U9', 'fortran_order': False, 'shape': (1000000000000,)}\n"
    plan = flatten._plan_path(photos, tmp_path / "all")
    plan.parent.mkdir()
    with zipfile.ZipFile(plan, "w") as archive:
        for key in ("filenames", "names"):
            archive.writestr(f"{key}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(DataError, match=r"is damaged: 'filenames' is not a complete \.npy file"):
        flattened(photos, tmp_path / "all")


@pytest.mark.skipif(sys.platform == "win32", reason="requires SIGKILL")
@pytest.mark.parametrize("mode", MODES)
def test_sigkill_and_resume(tmp_path, mode):
    names = [f"{c}/{i:03d}.png" for c in ("cat", "dog") for i in range(100)]
    photos = make_tree(tmp_path / "photos", *names)
    code = """if True:
        import sys, time
        from keras_oocore.core import files
        from keras_oocore.prepare import flatten, transfer
        def slow(real):
            def run(*arguments):
                result = real(*arguments)
                time.sleep(0.005)
                return result
            return run
        def slow_chunks(path, real=transfer.read_chunks):
            yield from real(path)
            time.sleep(0.005)  # while the temporary file exists
        transfer.read_chunks = slow_chunks
        transfer.MODES[sys.argv[3]] = slow(transfer.MODES[sys.argv[3]])
        flatten.flatten_images(sys.argv[1], sys.argv[2], sys.argv[3], progress=False)
    """
    destination = tmp_path / "all"
    with subprocess.Popen([sys.executable, "-c", code, photos, destination, mode]) as process:
        deadline = time.monotonic() + 300
        while process.poll() is None and (not destination.exists() or len(visible(destination)) < 20):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if mode == "copy":
            while process.poll() is None and not temporary(destination):
                assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 20 <= len(visible(destination)) < len(names)
    left = temporary(destination)
    made = flattened(photos, destination, mode=mode)
    assert contents(made) == names
    assert made.labels.tolist() == [0] * 100 + [1] * 100
    assert len(visible(destination)) == len(names)
    assert not temporary(destination)
    assert bool(left) <= (mode == "copy")


def test_destination_in_use_raises(tmp_path, photos):
    code = """if True:
        import sys
        from keras_oocore.core import files, locks
        with locks.write_lock(sys.argv[1]):
            print("locked", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "all"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(DestinationError, match=r"Another process is writing '.*all'\. Wait for it to finish"):
            flattened(photos, tmp_path / "all")
        process.stdin.close()
    assert contents(flattened(photos, tmp_path / "all")) == list(TREE)
