"""Many folders into one: unique names, four ways to bring a file, and runs that are killed, refused and run again."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.prepare import flatten, flatten_images
from keras_oocore.prepare.flat_names import MAX_BYTES, flat_names, folded

MODES = ["copy", "hardlink", "symlink", "move"]
TREE = ("cat/001.png", "cat/indoors/001.png", "dog/001.png", "dog/002.JPG")
FLAT = ["cat__001.png", "cat__indoors__001.png", "dog__001.png", "dog__002.JPG"]


def make_tree(root, *names):
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape"))
    return root


def contents(manifest):
    return [Path(path).read_bytes().decode(errors="surrogateescape") for path in manifest.file_paths]


def visible(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def temporary(folder):
    return [name for name in os.listdir(folder) if name.startswith(files.TEMPORARY_PREFIX) and len(name) == 30]


def flattened(source, destination, **options):
    return flatten_images(source, destination, progress=False, **options)


@pytest.fixture
def photos(tmp_path):
    return make_tree(tmp_path / "photos", *TREE)


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_that_could_mean_another_path_get_a_hash():
    names = flat_names(["a/b__c.png", "a/b/c.png", "a__b/c.png", "a_/b.png", "a/_b.png"], (".png",))
    assert names[1] == "a__b__c.png"
    assert names[4] == "a___b.png"
    hashed = [names[0], names[2], names[3]]
    assert [name[:-12] for name in hashed] == ["a__b__c-", "a__b__c-", "a___b-"]
    assert len(set(names)) == 5


def test_names_that_differ_only_in_case_or_accents_stay_apart():
    composed, decomposed = (unicodedata.normalize(form, "cat/é.png") for form in ("NFC", "NFD"))
    names = flat_names(["cat/A.png", "cat/a.png", "Cat/a.png", composed, decomposed], (".png",))
    assert len({folded(name) for name in names}) == 5
    assert names[1] == "cat__a.png"
    assert names[3] == unicodedata.normalize("NFC", "cat__é.png")


def test_names_that_windows_or_unicode_refuse_are_replaced():
    assert flat_names(["cat/a:b?.png"], (".png",))[0].startswith("cat__a_b_-")
    for name in flat_names(["cat/new\nline.png", "cat/\udcff.png", "cat/a\\b.png"], (".png",)):
        assert name.isprintable()
        name.encode()
        assert "\\" not in name


def test_long_names_are_cut_and_keep_their_extension():
    long = ["cat/" + "日" * 85 + ".nii.gz", "cat/" + "日" * 84 + "本.nii.gz", "c" * 200 + "/" + "d" * 200 + ".png"]
    names = flat_names(long, (".gz", ".nii.gz"))
    assert all(len(name.encode()) <= MAX_BYTES for name in names)
    assert len(set(names)) == 3
    assert names[0].endswith(".nii.gz")
    assert names[2].endswith(".png")


def test_files_added_later_change_no_name():
    first = ["cat/A.png", "cat/b.png", "cat/c__d.png"]
    more = [*first, "cat/c/d.png", "cat/B.png", "cat/e.png", "Dog/A.png"]
    assert flat_names(more)[:3] == flat_names(first)


def test_names_given_before_are_kept():
    given = {"cat/A.png": "cat__A.png"}
    names = flat_names(["cat/a.png", "cat/A.png"], given=given)
    assert names[1] == "cat__A.png"
    assert names[0].startswith("cat__a-")
    assert flat_names(["cat/a.png"], given=given) == names[:1]


def test_a_clash_that_no_hash_mends_is_refused():
    twin = flat_names(["cat/a__b.png"])[0]
    with pytest.raises(DataError, match=r"would both be named .* Rename one of them"):
        flat_names(["cat/a__b.png", twin.replace("cat__", "cat/", 1).replace("a__b", "a/b")])


paths = st.lists(
    st.lists(st.text("aAé_\u0301ß:.", min_size=1, max_size=4), min_size=2, max_size=4).map("/".join),
    unique=True,
    max_size=30,
)


@given(paths, st.randoms())
def test_names_are_unique_on_every_disk_and_need_no_order(filenames, rng):
    filenames = [name + ".png" for name in filenames]
    names = dict(zip(filenames, flat_names(filenames, (".png",)), strict=True))
    assert len({folded(name) for name in names.values()}) == len(filenames)
    assert not any(set('/<>:"|?*\\') & set(name) for name in names.values())
    rng.shuffle(filenames)
    assert names == dict(zip(filenames, flat_names(filenames, (".png",)), strict=True))


# --- four ways to bring a file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_all_images_are_in_one_folder_with_their_labels(tmp_path, photos, mode):
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
def test_running_again_changes_nothing_and_returns_the_same(tmp_path, photos, mode):
    first = flattened(photos, tmp_path / "all", mode=mode)
    before = {name: os.lstat(tmp_path / "all" / name) for name in visible(tmp_path / "all")}
    again = flattened(photos, tmp_path / "all", mode=mode)
    assert again.filenames.tolist() == first.filenames.tolist()
    assert again.labels.tolist() == first.labels.tolist()
    after = {name: os.lstat(tmp_path / "all" / name) for name in visible(tmp_path / "all")}
    assert {name: (s.st_ino, s.st_mtime_ns) for name, s in before.items()} == {
        name: (s.st_ino, s.st_mtime_ns) for name, s in after.items()
    }


def test_copies_are_files_of_their_own_with_their_time(tmp_path, photos):
    os.utime(photos / TREE[0], (10**9, 10**9))
    made = flattened(photos, tmp_path / "all")
    assert os.stat(made.path(0)).st_mtime == 10**9
    assert os.stat(made.path(0)).st_nlink == 1


def test_hard_links_are_the_same_file(tmp_path, photos):
    os.symlink("001.png", photos / "cat" / "linked.png")
    made = flattened(photos, tmp_path / "all", mode="hardlink")
    assert os.path.samefile(made.path(0), photos / TREE[0])
    linked = tmp_path / "all" / "cat__linked.png"
    assert os.path.samefile(linked, photos / TREE[0])
    assert not linked.is_symlink()


def test_symbolic_links_move_with_their_folders(tmp_path):
    make_tree(tmp_path / "project" / "photos", *TREE)
    made = flattened(tmp_path / "project" / "photos", tmp_path / "project" / "deep" / "all", mode="symlink")
    assert os.readlink(made.path(0)) == "../../photos/cat/001.png"
    os.rename(tmp_path / "project", tmp_path / "renamed")
    assert (tmp_path / "renamed" / "deep" / "all" / FLAT[0]).read_bytes() == TREE[0].encode()


def test_a_symbolic_link_to_a_link(tmp_path, photos):
    os.symlink("001.png", photos / "cat" / "linked.png")
    made = flattened(photos, tmp_path / "all", mode="symlink")
    assert Path(made.path(1)).read_bytes() == TREE[0].encode()


def test_symbolic_links_from_a_linked_destination(tmp_path, photos):
    (tmp_path / "far" / "away").mkdir(parents=True)
    os.symlink(tmp_path / "far" / "away", tmp_path / "all")
    assert contents(flattened(photos, tmp_path / "all", mode="symlink")) == list(TREE)


def test_a_move_takes_linked_files_as_their_content(tmp_path):
    photos = make_tree(tmp_path / "photos", "cat/b.png")
    os.symlink("b.png", photos / "cat" / "c.png")
    os.symlink("b.png", photos / "cat" / "a.png")
    made = flattened(photos, tmp_path / "all", mode="move")
    assert contents(made) == ["cat/b.png"] * 3
    assert not any(Path(path).is_symlink() for path in made.file_paths)
    assert not list((photos / "cat").iterdir())


def test_the_destination_may_lie_inside_the_source(tmp_path, photos, monkeypatch):
    (photos / "all_images").mkdir()
    first = flattened(photos, photos / "all_images")
    assert first.class_names == ["cat", "dog"]
    assert flattened(photos, photos / "all_images").filenames.tolist() == FLAT
    monkeypatch.chdir(photos)
    assert flattened(".", "all_images").filenames.tolist() == FLAT
    assert Manifest.from_directory(photos).class_names == ["cat", "dog"]
    assert len(Manifest.from_directory(photos / "all_images", labels=None)) == 4


def test_the_default_destination_is_here(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = flatten_images("photos", progress=False)
    assert made.path(0) == os.path.join("all_images", FLAT[0])
    assert os.path.exists(tmp_path / "all_images" / FLAT[0])


def test_odd_names_and_any_extension(tmp_path):
    names = ["cl ass/a b.npy", "cl ass/日本.npy", "cl ass/\U0001f98a.NPY", "cl ass/new\nline.npy", "cl ass/\udcff.npy"]
    made = flattened(make_tree(tmp_path / "data", *names, "cl ass/x.png"), tmp_path / "all", extensions="npy")
    assert sorted(contents(made)) == sorted(names)
    assert made.passed_over == {"other extension": 1}
    assert {"cl ass__a b.npy", "cl ass__日本.npy", "cl ass__\U0001f98a.NPY"} < set(made.filenames)


def test_class_names_fix_the_order(tmp_path, photos):
    made = flattened(photos, tmp_path / "all", class_names=["dog", "cat"])
    assert made.filenames.tolist() == FLAT[2:] + FLAT[:2]
    assert made.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="'dgo'"):
        flattened(photos, tmp_path / "all", class_names=["dgo"])


def test_it_reports_what_was_passed_over(tmp_path, photos, capsys):
    make_tree(photos, "cat/.DS_Store", "cat/notes.txt", "cat/Thumbs.db")
    flatten_images(photos, tmp_path / "all")
    captured = capsys.readouterr()
    assert "4 samples of 2 classes" in captured.out
    assert "Passed over: " in captured.out
    for reason in ("1 hidden", "1 other extension", "1 left by the operating system"):
        assert reason in captured.out
    assert "4/4" in captured.err
    flatten_images(photos, tmp_path / "all", progress=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_one_sample_and_an_empty_class(tmp_path):
    photos = make_tree(tmp_path / "photos", "cat/1.png")
    (photos / "dog").mkdir()
    with pytest.warns(UserWarning, match="without samples: 'dog'") as warned:
        made = flattened(photos, tmp_path / "all")
    assert warned[0].filename == __file__
    assert made.class_names == ["cat", "dog"]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_different_file_is_never_overwritten(tmp_path, photos, mode):
    make_tree(tmp_path / "all", FLAT[2])  # its content differs
    with pytest.raises(
        DestinationError, match=r"dog__001\.png' exists and is not .*dog/001\.png'; neither was touched"
    ):
        flattened(photos, tmp_path / "all", mode=mode)
    assert (tmp_path / "all" / FLAT[2]).read_bytes() == FLAT[2].encode()
    assert (photos / TREE[2]).read_bytes() == TREE[2].encode()
    (tmp_path / "all" / FLAT[2]).unlink()
    assert contents(flattened(photos, tmp_path / "all", mode=mode)) == list(TREE)


def test_same_size_is_not_the_same_content(tmp_path, photos):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / FLAT[0]).write_bytes(TREE[0].encode()[::-1])
    with pytest.raises(DestinationError, match="is not a copy of"):
        flattened(photos, tmp_path / "all")


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_the_same_content_is_accepted(tmp_path, photos, mode):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / FLAT[0]).write_bytes(TREE[0].encode())
    assert contents(flattened(photos, tmp_path / "all", mode=mode)) == list(TREE)


@pytest.mark.parametrize("mode", ["copy", "move", "hardlink"])
def test_a_link_is_not_taken_for_a_copy(tmp_path, photos, mode):
    flattened(photos, tmp_path / "all", mode="symlink")
    with pytest.raises(DestinationError, match="exists and is not a"):
        flattened(photos, tmp_path / "all", mode=mode)
    assert (photos / TREE[0]).read_bytes() == TREE[0].encode()  # a move would have lost it


def test_options_that_cannot_be(tmp_path, photos):
    with pytest.raises(OptionError, match=r"'copy', 'hardlink', 'symlink', 'move'\. Received: mode='cp'"):
        flattened(photos, tmp_path / "all", mode="cp")
    with pytest.raises(OptionError, match="another folder than `directory`"):
        flattened(photos, photos)


def test_nothing_is_made_for_a_source_that_cannot_be(tmp_path):
    (tmp_path / "empty").mkdir()
    make_tree(tmp_path / "loose", "1.png")
    for source, words in (("gone", "does not exist"), ("empty", "is empty"), ("loose", "no class folders")):
        with pytest.raises(DataError, match=words):
            flattened(tmp_path / source, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_source_that_cannot_be_read_is_named(tmp_path, photos, monkeypatch):
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


def test_disk_is_asked_for_before_the_first_byte(tmp_path, photos, monkeypatch):
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
def test_a_full_disk_is_explained_and_loses_nothing(tmp_path, photos, monkeypatch, mode):
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_file_that_does_not_fit_leaves_no_half(tmp_path, photos):
    (photos / "dog" / "003.png").write_bytes(bytes(5000))
    code = """if True:
        import resource, sys
        from keras_oocore.prepare import flatten_images
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            flatten_images(sys.argv[1], sys.argv[2], progress=False)
        except OSError as error:
            print(type(error).__name__, error)
    """
    said = subprocess.run([sys.executable, "-c", code, photos, tmp_path / "all"], stdout=subprocess.PIPE, text=True)
    assert "DestinationError Cannot write" in said.stdout
    assert "dog__003.png" in said.stdout
    assert visible(tmp_path / "all") == FLAT
    assert not temporary(tmp_path / "all")


def test_a_destination_that_cannot_be_written(tmp_path, photos):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"Cannot write '.*file'"):
        flattened(photos, tmp_path / "file")
    with pytest.raises(DestinationError, match=r"Cannot write '.*file/deeper'"):
        flattened(photos, tmp_path / "file" / "deeper")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a file system that root may not write to")
def test_a_read_only_destination(photos):
    with pytest.raises(DestinationError, match=r"Cannot write '/sys/kernel/all'.*"):
        flattened(photos, "/sys/kernel/all")


def test_hard_links_between_disks_say_what_to_do(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(os, "link", other_disk)
    with pytest.raises(DestinationError, match=r'Cannot hardlink .*Invalid cross-device link.*mode="copy"'):
        flattened(photos, tmp_path / "all", mode="hardlink")


def other_disk(*_, **__):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


# --- killed, interrupted, two at once -------------------------------------------------------------------------------


@pytest.fixture
def between_disks(monkeypatch):
    """From `photos` to `all` nothing can be linked or renamed, as between disks; inside a folder it can."""
    for name in ("link", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda a, b, real=real: other_disk() if "photos" in str(a) else real(a, b))


def test_a_move_between_disks_copies_then_removes(tmp_path, photos, between_disks, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(1), real(descriptor)))
    os.utime(photos / TREE[0], (10**9, 10**9))
    made = flattened(photos, tmp_path / "all", mode="move")
    assert contents(made) == list(TREE)
    assert not (photos / TREE[0]).exists()
    assert os.stat(made.path(0)).st_mtime == 10**9
    assert len(synced) >= 2 * len(TREE)  # each file and its name, before the source goes


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second disk")
def test_a_move_to_a_disk_that_is_another(tmp_path, photos):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as destination:
        if os.stat(destination).st_dev == os.stat(photos).st_dev:
            pytest.skip("/dev/shm is no other disk")
        with pytest.raises(DestinationError, match=r'Cannot hardlink .*mode="copy"'):
            flattened(photos, destination, mode="hardlink")
        assert contents(flattened(photos, destination, mode="move")) == list(TREE)
        assert contents(flattened(photos, destination, mode="move")) == list(TREE)
        assert not list(photos.rglob("*.png"))


@pytest.mark.parametrize("step", range(4))
def test_a_move_between_disks_killed_before_removing(tmp_path, photos, between_disks, monkeypatch, step):
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_ctrl_c_and_again(tmp_path, photos, monkeypatch, mode, step):
    real, brought = flatten.MODES[mode], []

    def bring(*arguments):
        if len(brought) == step:
            raise KeyboardInterrupt
        brought.append(arguments)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setitem(flatten.MODES, mode, bring)
        with pytest.raises(KeyboardInterrupt):
            flattened(photos, tmp_path / "all", mode=mode)
    assert visible(tmp_path / "all") == FLAT[:step]
    made = flattened(photos, tmp_path / "all", mode=mode)
    assert made.filenames.tolist() == FLAT
    assert contents(made) == list(TREE)


def test_what_was_moved_is_remembered(tmp_path, photos):
    flattened(photos, tmp_path / "all", mode="move")
    make_tree(photos, "cat/002.png", "emu/001.png", "cat/Indoors/001.png")
    made = flattened(photos, tmp_path / "all", mode="move")
    assert made.class_names == ["cat", "dog", "emu"]
    assert sorted(contents(made)) == sorted([*TREE, "cat/002.png", "emu/001.png", "cat/Indoors/001.png"])
    assert [made.class_names[label] for label in made.labels] == [content[:3] for content in contents(made)]
    assert set(FLAT) < set(made.filenames)  # their names did not change
    again = flattened(photos, tmp_path / "all", mode="copy", class_names=["emu", "dog"])
    assert contents(again) == ["emu/001.png", "dog/001.png", "dog/002.JPG"]
    assert again.labels.tolist() == [0, 1, 1]
    with pytest.warns(UserWarning, match="without samples: 'cat', 'emu'"):
        assert contents(flattened(photos, tmp_path / "all", extensions=".jpg")) == ["dog/002.JPG"]


def test_a_moved_source_may_be_removed(tmp_path, photos):
    first = flattened(photos, tmp_path / "all", mode="move")
    for folder in ("cat/indoors", "cat", "dog", "."):
        (photos / folder).rmdir()
    again = flattened(photos, tmp_path / "all", mode="move", class_names=["cat", "dog"])
    assert again.filenames.tolist() == first.filenames.tolist()
    (tmp_path / "all" / FLAT[0]).unlink()  # thrown out on purpose
    assert flattened(photos, tmp_path / "all").filenames.tolist() == FLAT[1:]


def test_two_sources_moved_into_one_folder_stay_apart(tmp_path, photos):
    make_tree(tmp_path / "more", "cat/900.png")
    flattened(photos, tmp_path / "all", mode="move")
    assert flattened(tmp_path / "more", tmp_path / "all", mode="move").filenames.tolist() == ["cat__900.png"]
    assert flattened(photos, tmp_path / "all", mode="move").filenames.tolist() == FLAT


def test_a_damaged_memory_of_moves_is_named(tmp_path, photos):
    flattened(photos, tmp_path / "all", mode="move")
    (plan,) = (tmp_path / "all").glob(".keras_oocore-moved-*.npz")
    plan.write_bytes(plan.read_bytes()[:50])
    with pytest.raises(DataError, match=r"moved-.*npz', which remembers the files that were moved, is damaged"):
        flattened(photos, tmp_path / "all", mode="move")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("mode", MODES)
def test_kill_9_and_again(tmp_path, mode):
    names = [f"{c}/{i:03d}.png" for c in ("cat", "dog") for i in range(100)]
    photos = make_tree(tmp_path / "photos", *names)
    code = """if True:
        import sys, time
        from keras_oocore.core import files
        from keras_oocore.prepare import flatten
        def slow(real):
            def run(*arguments):
                result = real(*arguments)
                time.sleep(0.005)
                return result
            return run
        def slow_chunks(path, real=flatten.read_chunks):
            yield from real(path)
            time.sleep(0.005)  # here the temporary file is there
        flatten.read_chunks = slow_chunks
        flatten.MODES[sys.argv[3]] = slow(flatten.MODES[sys.argv[3]])
        flatten.flatten_images(sys.argv[1], sys.argv[2], sys.argv[3], progress=False)
    """
    destination = tmp_path / "all"
    with subprocess.Popen([sys.executable, "-c", code, photos, destination, mode]) as process:
        while process.poll() is None and (not destination.exists() or len(visible(destination)) < 20):
            time.sleep(0.002)
        if mode == "copy":
            while process.poll() is None and not temporary(destination):
                pass
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


def test_two_processes_at_once(tmp_path, photos):
    code = """if True:
        import sys
        from keras_oocore.core import files, locks
        with locks.write_lock(sys.argv[1]):
            print("holding", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "all"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "holding\n"
        with pytest.raises(DestinationError, match=r"Another process is writing '.*all'\. Wait for it to finish"):
            flattened(photos, tmp_path / "all")
        process.stdin.close()
    assert contents(flattened(photos, tmp_path / "all")) == list(TREE)
