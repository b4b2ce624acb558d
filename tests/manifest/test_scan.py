"""`Manifest.from_directory`: which files are found, in which order, and what is skipped."""

import os
import shutil
import warnings

import numpy as np
import pytest
from trees import make_tree

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.manifest import Manifest

ODD_NAMES = ["a b.png", "ünï.png", "日本.png", "\U0001f98a.png", "new\nline.png", "per%cent.png"]


def keras_order(directory, class_names=None, formats=IMAGE_EXTENSIONS):
    """`index_directory` of keras/src/utils/dataset_utils.py, Keras 3.15.1, in a few lines."""
    subdirs = class_names or sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    filenames, labels = [], []
    for label, subdir in enumerate(subdirs):
        for root, _, names in sorted(os.walk(os.path.join(directory, subdir)), key=lambda walked: walked[0]):
            for name in sorted(names):
                if name.lower().endswith(formats):
                    filenames.append(os.path.relpath(os.path.join(root, name), directory))
                    labels.append(label)
    return filenames, labels


@pytest.mark.filterwarnings("ignore:.* in the class folders will not be read")
def test_from_directory_has_the_order_of_keras(tmp_path):
    make_tree(
        tmp_path,
        *("dog/2.png", "dog/10.PNG", "dog/1.jpeg", "cat/b/1.png", "cat/b-a/1.png", "cat/b/c/1.png", "cat/z.png"),
        *("Bird/1.gif", "Bird/1.tiff", "bird2/1.webp", "dog/notes.txt"),
    )
    found = Manifest.from_directory(tmp_path)
    filenames, labels = keras_order(tmp_path)
    assert found.filenames.tolist() == filenames
    assert found.labels.tolist() == labels
    assert found.labels.dtype == np.int32
    assert found.class_names == ["Bird", "bird2", "cat", "dog"]
    assert found.file_paths == [os.path.join(tmp_path, name) for name in filenames]
    assert found.path(3) == found.file_paths[3]
    assert found.skipped == {"other extension": 1}
    assert len(found) == 10


def test_class_names_set_the_order_and_skip_other_folders(tmp_path):
    make_tree(tmp_path, "a/1.png", "b/1.png", "c/1.png")
    found = Manifest.from_directory(tmp_path, class_names=["c", "a"])
    assert (found.filenames.tolist(), found.labels.tolist()) == keras_order(tmp_path, ["c", "a"])
    assert found.class_names == ["c", "a"]
    assert found.skipped == {"folder not in class_names": 1}


def test_class_names_must_be_distinct_folders(tmp_path):
    make_tree(tmp_path, "Charlock/1.png", "Maize/1.png")
    with pytest.raises(DataError, match=r"1 of 2 `class_names` have no folder.*'Charlok'.*Did you mean 'Charlock'\?"):
        Manifest.from_directory(tmp_path, class_names=["Charlok", "Maize"])
    with pytest.raises(OptionError, match="once, but contains 'Maize' more than once"):
        Manifest.from_directory(tmp_path, class_names=["Maize", "Maize"])
    with pytest.raises(OptionError, match="should be a list of strings"):
        Manifest.from_directory(tmp_path, class_names="Maize")


@pytest.mark.filterwarnings("ignore:.* in the class folders will not be read")
def test_skipped_files_are_counted_by_reason(tmp_path):
    make_tree(
        tmp_path,
        *("cat/1.png", "cat/.DS_Store", "cat/._1.png", "cat/.cache/2.png", "cat/Thumbs.db", "cat/desktop.ini"),
        *("__MACOSX/cat/1.png", ".git/1.png", "stray.png", "cat/readme.md", "cat/1.png.txt", "README"),
    )
    os.symlink("nowhere.png", tmp_path / "cat" / "broken.png")
    found = Manifest.from_directory(tmp_path)
    assert found.filenames.tolist() == ["cat/1.png"]
    assert found.class_names == ["cat"]
    assert found.skipped == {
        "hidden": 4,
        "left by the operating system": 3,
        "outside the class folders": 1,
        "other extension": 3,
        "broken link": 1,
    }


@pytest.mark.filterwarnings("ignore:.* in the class folders will not be read")
def test_pipes_are_skipped(tmp_path):
    make_tree(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "2.png")
    assert Manifest.from_directory(tmp_path).skipped == {"not a regular file": 1}


def test_empty_class_keeps_its_index_and_warns(tmp_path):
    make_tree(tmp_path, "a/1.png", "c/1.png")
    (tmp_path / "b").mkdir()
    with pytest.warns(UserWarning, match="without samples: 'b'") as warned:
        found = Manifest.from_directory(tmp_path)
    assert warned[0].filename == __file__
    assert found.class_names == ["a", "b", "c"]
    assert found.labels.tolist() == [0, 2]


def test_class_of_the_training_data_without_a_folder_keeps_its_index_and_warns(tmp_path):
    make_tree(tmp_path, "class_1/1.png", "class_3/1.png")
    with pytest.warns(UserWarning, match="1 of 3 classes without samples: 'class_2'") as warned:
        found = Manifest.from_directory(tmp_path, class_names=["class_1", "class_2", "class_3"])
    assert len(warned) == 1
    assert found.class_names == ["class_1", "class_2", "class_3"]
    assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("class_names", "words"),
    [
        (
            ["cat", "dog", "owl"],
            r"'owl'\. Folders found: 'cat', 'dog', 'emu'\. .*pass class_names=\['cat', 'dog', 'owl', 'emu'\] to both",
        ),
        (["cat", "dgo", "emu"], r"1 of 3 `class_names` have no folder .*'dgo'\. Did you mean 'dog'\?"),
        (
            ["cat", "dog", "emu", "Cat"],
            r"'Cat'\. Did you mean 'cat'\?.*If 'Cat' is a class without samples, create an empty folder",
        ),
        (["cat", "dog", "emu", "emus"], r"'emus'\. Did you mean 'emu'\?"),
    ],
)
def test_other_folder_or_a_misspelt_class_is_an_error_that_says_what_to_type(tmp_path, class_names, words):
    make_tree(tmp_path, "cat/1.png", "dog/1.png", "emu/1.png")
    with pytest.raises(DataError, match=words):
        Manifest.from_directory(tmp_path, class_names=class_names)


def test_class_names_without_any_folder_are_an_error(tmp_path):
    make_tree(tmp_path, "1.png")
    with pytest.raises(DataError, match=r"2 of 2 `class_names` have no folder .* Folders found: none\."):
        Manifest.from_directory(tmp_path, class_names=["cat", "dog"])


def test_single_class_does_not_warn(tmp_path):
    make_tree(tmp_path, "only/1.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Manifest.from_directory(tmp_path).class_names == ["only"]


def test_labels_none_includes_all_files(tmp_path):
    make_tree(tmp_path, "2.png", "a/1.png", "a/b/3.png", "10.png")
    found = Manifest.from_directory(tmp_path, labels=None)
    assert found.filenames.tolist() == ["10.png", "2.png", "a/1.png", "a/b/3.png"]
    assert found.labels is None
    assert found.class_names is None
    with pytest.raises(
        OptionError, match=r"`class_names` requires labels: .* class i of the model is train.class_names\[i\]"
    ):
        Manifest.from_directory(tmp_path, labels=None, class_names=["a"])


def test_labels_array_follows_the_order_of_files(tmp_path):
    make_tree(tmp_path, "1.png", "2.png", "a/3.png")
    found = Manifest.from_directory(tmp_path, labels=["dog", "cat", "dog"])
    assert found.labels.tolist() == [1, 0, 1]
    assert found.class_names == ["cat", "dog"]
    raw = np.random.default_rng(0).random((3, 4))
    np.testing.assert_array_equal(Manifest.from_directory(tmp_path, labels=raw).labels, raw)
    with pytest.raises(DataError, match="Received: 3 filenames and 2 labels"):
        Manifest.from_directory(tmp_path, labels=[0, 1])
    with pytest.raises(OptionError, match=r'should be "inferred", None, an array.*\'infered\''):
        Manifest.from_directory(tmp_path, labels="infered")


def test_extensions_in_any_form(tmp_path):
    make_tree(tmp_path, "a/1.npy", "a/2.NPY", "b/3.nii.gz", "b/4.png")
    for extensions in ("npy", ".npy", [".NPY"], ("npy", ".wav")):
        with pytest.warns(UserWarning, match="'b'"):
            assert Manifest.from_directory(tmp_path, extensions=extensions).filenames.tolist() == ["a/1.npy", "a/2.NPY"]
    assert len(Manifest.from_directory(tmp_path, extensions=(".nii.gz", "npy"))) == 3
    for extensions in ((), "", ".", [None]):
        with pytest.raises(OptionError, match="`extensions` should be a list of file extensions"):
            Manifest.from_directory(tmp_path, extensions=extensions)


def test_invalid_directory_raises(tmp_path):
    make_tree(tmp_path, "photos/cat/1.png", "list.txt", "loose/1.png", "loose/2.png", "other/a/1.npy", "other/a/2.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"'.*photoz' does not exist\. Did you mean 'photos'\?"):
        Manifest.from_directory(tmp_path / "photoz")
    with pytest.raises(DataError, match=r"'not-here-either' does not exist\. The working directory is "):
        Manifest.from_directory("not-here-either")
    with pytest.raises(DataError, match=r"list\.txt' is a file, but it should be a directory"):
        Manifest.from_directory(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"Directory '.*empty' is empty"):
        Manifest.from_directory(tmp_path / "empty")
    with pytest.raises(DataError, match=r"contains 2 files but no class folders.*labels=None"):
        Manifest.from_directory(tmp_path / "loose")
    with pytest.raises(DataError, match=r"No files ending in \.avif, .* in the class .*extensions found: 2 \.npy"):
        Manifest.from_directory(tmp_path / "other")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    with pytest.raises(DataError, match=r"To unpack this zip file, call keras_oocore\.unzip_folder"):
        Manifest.from_directory(tmp_path / "photos.zip")


def test_unreadable_folder_raises(tmp_path, monkeypatch):
    make_tree(tmp_path, "cat/1.png", "dog/1.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"Cannot read the folder '.*dog': Permission denied"):
        Manifest.from_directory(tmp_path)


def test_follow_links_ends_circles(tmp_path):
    make_tree(tmp_path, "data/cat/1.png", "data/dog/1.png", "elsewhere/2.png", "elsewhere/deep/3.png")
    data = tmp_path / "data"
    os.symlink("..", data / "cat" / "up")
    os.symlink(data, data / "dog" / "all")
    os.symlink("../dog", data / "cat" / "dogs")
    os.symlink(tmp_path / "elsewhere", data / "cat" / "more")
    os.symlink("1.png", data / "cat" / "linked.png")
    not_followed = Manifest.from_directory(data)
    assert not_followed.filenames.tolist() == ["cat/1.png", "cat/linked.png", "dog/1.png"]
    assert not_followed.skipped == {"linked folder (follow_links=False)": 4}
    followed = Manifest.from_directory(data, follow_links=True)
    assert followed.filenames.tolist() == [
        *("cat/1.png", "cat/linked.png", "cat/more/2.png", "cat/more/deep/3.png", "dog/1.png")
    ]
    assert followed.labels.tolist() == [0, 0, 0, 0, 1]
    assert followed.skipped == {"linked folder that was already searched": 3}
    assert len(Manifest.from_directory(data, labels=None, follow_links=True)) == 5


def test_linked_class_folder_is_a_class_unless_it_leads_back_up(tmp_path):
    make_tree(tmp_path, "data/cat/1.png", "elsewhere/2.png")
    os.symlink("../elsewhere", tmp_path / "data" / "ape")
    os.symlink(".", tmp_path / "data" / "loop")
    found = Manifest.from_directory(tmp_path / "data")
    assert found.skipped == {"linked folder that leads back up": 1}
    followed = Manifest.from_directory(tmp_path / "data", follow_links=True)
    for manifest in (found, followed, Manifest.from_directory(tmp_path / "data", class_names=["ape", "cat"])):
        assert manifest.class_names == ["ape", "cat"]
        assert manifest.filenames.tolist() == ["ape/2.png", "cat/1.png"]


def test_unusual_filenames_are_found(tmp_path):
    names = [*ODD_NAMES, "\udcff.png"]
    make_tree(tmp_path, *(f"cl ass\n日/{name}" for name in names))
    found = Manifest.from_directory(tmp_path)
    assert found.filenames.tolist() == sorted(f"cl ass\n日/{name}" for name in names)
    assert all(os.path.exists(path) for path in found.file_paths)
    repr(found).encode()  # contains no surrogate
    assert "\\n" in repr(found)
    assert "\n" not in repr(found)


def test_filenames_are_stored_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_oocore.manifest.scan.BLOCK_NAMES", 3)
    make_tree(tmp_path, *(f"a/{i:02d}.png" for i in range(10)), *(f"b/{i}.png" for i in range(3)))
    found = Manifest.from_directory(tmp_path)
    assert (found.filenames.tolist(), found.labels.tolist()) == keras_order(tmp_path)


def test_scan_does_not_stat_files(tmp_path, monkeypatch):
    make_tree(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(50)))
    asked = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *a, **k: asked.append(path) or real(path, *a, **k))
    Manifest.from_directory(tmp_path)
    assert len(asked) < 10


def test_files_of_class_folders_that_are_not_read_are_counted_in_one_warning(tmp_path):
    make_tree(
        tmp_path,
        *("cat/1.png", "cat/2.heic", "cat/deep/3.HEIC", "dog/1.png", "dog/notes.txt", "dog/noextension"),
        *("README.md", "cat/.hidden", "dog/Thumbs.db", "dog/desktop.ini"),
    )
    with pytest.warns(UserWarning, match="files in the class folders will not be read") as warned:
        found = Manifest.from_directory(tmp_path)
    (warning,) = warned
    assert warning.filename == __file__
    assert (
        str(warning.message).startswith(
            "4 files in the class folders will not be read: 2 .heic, 1 .txt, 1 without extension. HEIC files require "
            "pillow-heif: pip install pillow-heif. To choose the files, pass `extensions`"
        )
        or ".heic" in IMAGE_EXTENSIONS
    )
    assert len(found) == 2 or ".heic" in IMAGE_EXTENSIONS


def test_no_warning_for_extensions_that_were_chosen_or_files_outside_of_the_classes(tmp_path):
    make_tree(tmp_path, "cat/1.png", "cat/notes.txt", "README.md")
    make_tree(tmp_path, "cat/cache/.keras_oocore-lock", "cat/cache/x.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Manifest.from_directory(tmp_path, extensions=".png")
        Manifest.from_directory(tmp_path, labels=None)
        (tmp_path / "cat" / "notes.txt").unlink()
        Manifest.from_directory(tmp_path)
