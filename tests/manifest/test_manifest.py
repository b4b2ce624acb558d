"""The record of samples: scanned as Keras scans, from arrays and tables, split, saved and found again."""

import json
import os
import pickle
import random
import shutil
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, MissingExtraError, OptionError
from keras_oocore.manifest.manifest import IMAGE_EXTENSIONS, Manifest

ODD_NAMES = ["a b.png", "ünï.png", "日本.png", "\U0001f98a.png", "new\nline.png", "per%cent.png"]


def make_tree(root, *names):
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, errors="surrogateescape")
    return root


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


# --- from_directory -------------------------------------------------------------------------------------------------


def test_class_folders_become_samples_in_the_order_of_keras(tmp_path):
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
    assert found.passed_over == {"other extension": 1}
    assert len(found) == 10


def test_class_names_fix_the_order_and_may_be_a_part(tmp_path):
    make_tree(tmp_path, "a/1.png", "b/1.png", "c/1.png")
    found = Manifest.from_directory(tmp_path, class_names=["c", "a"])
    assert (found.filenames.tolist(), found.labels.tolist()) == keras_order(tmp_path, ["c", "a"])
    assert found.class_names == ["c", "a"]
    assert found.passed_over == {"folder not in class_names": 1}


def test_a_misspelt_class_is_named_with_the_nearest(tmp_path):
    make_tree(tmp_path, "Charlock/1.png", "Maize/1.png")
    with pytest.raises(DataError, match=r"1 of 2 `class_names` have no folder.*'Charlok'.*Did you mean 'Charlock'\?"):
        Manifest.from_directory(tmp_path, class_names=["Charlok", "Maize"])
    with pytest.raises(OptionError, match="once, but holds 'Maize' more than once"):
        Manifest.from_directory(tmp_path, class_names=["Maize", "Maize"])
    with pytest.raises(OptionError, match="should be a list of names"):
        Manifest.from_directory(tmp_path, class_names="Maize")


def test_what_is_no_sample_is_passed_over_and_counted(tmp_path):
    make_tree(
        tmp_path,
        *("cat/1.png", "cat/.DS_Store", "cat/._1.png", "cat/.cache/2.png", "cat/Thumbs.db", "cat/desktop.ini"),
        *("__MACOSX/cat/1.png", ".git/1.png", "stray.png", "cat/readme.md", "cat/1.png.txt", "README"),
    )
    os.symlink("nowhere.png", tmp_path / "cat" / "broken.png")
    found = Manifest.from_directory(tmp_path)
    assert found.filenames.tolist() == ["cat/1.png"]
    assert found.class_names == ["cat"]
    assert found.passed_over == {
        "hidden": 4,
        "left by the operating system": 3,
        "outside the class folders": 1,
        "other extension": 3,
        "broken link": 1,
    }


def test_a_pipe_is_no_sample(tmp_path):
    make_tree(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "2.png")
    assert Manifest.from_directory(tmp_path).passed_over == {"not a regular file": 1}


def test_a_class_without_samples_stays_and_is_named(tmp_path):
    make_tree(tmp_path, "a/1.png", "c/1.png")
    (tmp_path / "b").mkdir()
    with pytest.warns(UserWarning, match="without samples: 'b'") as warned:
        found = Manifest.from_directory(tmp_path)
    assert warned[0].filename == __file__
    assert found.class_names == ["a", "b", "c"]
    assert found.labels.tolist() == [0, 2]


def test_one_class_is_fine(tmp_path):
    make_tree(tmp_path, "only/1.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Manifest.from_directory(tmp_path).class_names == ["only"]


def test_without_labels_all_files_are_alike(tmp_path):
    make_tree(tmp_path, "2.png", "a/1.png", "a/b/3.png", "10.png")
    found = Manifest.from_directory(tmp_path, labels=None)
    assert found.filenames.tolist() == ["10.png", "2.png", "a/1.png", "a/b/3.png"]
    assert found.labels is None
    assert found.class_names is None
    with pytest.raises(OptionError, match="`class_names` needs labels"):
        Manifest.from_directory(tmp_path, labels=None, class_names=["a"])


def test_labels_given_are_for_the_files_in_order(tmp_path):
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


def test_any_data_point_by_its_extension(tmp_path):
    make_tree(tmp_path, "a/1.npy", "a/2.NPY", "b/3.nii.gz", "b/4.png")
    for extensions in ("npy", ".npy", [".NPY"], ("npy", ".wav")):
        with pytest.warns(UserWarning, match="'b'"):
            assert Manifest.from_directory(tmp_path, extensions=extensions).filenames.tolist() == ["a/1.npy", "a/2.NPY"]
    assert len(Manifest.from_directory(tmp_path, extensions=(".nii.gz", "npy"))) == 3
    for extensions in ((), "", ".", [None]):
        with pytest.raises(OptionError, match="`extensions` should name file endings"):
            Manifest.from_directory(tmp_path, extensions=extensions)


def test_directories_that_cannot_be(tmp_path):
    make_tree(tmp_path, "photos/cat/1.png", "list.txt", "loose/1.png", "loose/2.png", "other/a/1.npy", "other/a/2.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"'.*photoz' does not exist\. Did you mean 'photos'\?"):
        Manifest.from_directory(tmp_path / "photoz")
    with pytest.raises(DataError, match=r"'not-here-either' does not exist\. It was looked for in "):
        Manifest.from_directory("not-here-either")
    with pytest.raises(DataError, match=r"list\.txt' is a file, but a directory is needed"):
        Manifest.from_directory(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"Directory '.*empty' is empty"):
        Manifest.from_directory(tmp_path / "empty")
    with pytest.raises(DataError, match=r"holds 2 files but no class folders.*labels=None"):
        Manifest.from_directory(tmp_path / "loose")
    with pytest.raises(DataError, match=r"No files ending in \.bmp, .* in the class folders .*found instead: 2 \.npy"):
        Manifest.from_directory(tmp_path / "other")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    with pytest.raises(DataError, match=r"It is a zip: unpack it with keras_oocore.unzip_folder"):
        Manifest.from_directory(tmp_path / "photos.zip")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    make_tree(tmp_path, "cat/1.png", "dog/1.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"Cannot read the folder '.*dog': Permission denied"):
        Manifest.from_directory(tmp_path)


def test_links_are_followed_only_when_asked_and_circles_end(tmp_path):
    make_tree(tmp_path, "data/cat/1.png", "data/dog/1.png", "elsewhere/2.png", "elsewhere/deep/3.png")
    data = tmp_path / "data"
    os.symlink("..", data / "cat" / "up")
    os.symlink(data, data / "dog" / "all")
    os.symlink("../dog", data / "cat" / "dogs")
    os.symlink(tmp_path / "elsewhere", data / "cat" / "more")
    os.symlink("1.png", data / "cat" / "linked.png")
    not_followed = Manifest.from_directory(data)
    assert not_followed.filenames.tolist() == ["cat/1.png", "cat/linked.png", "dog/1.png"]
    assert not_followed.passed_over == {"linked folder (follow_links=False)": 4}
    followed = Manifest.from_directory(data, follow_links=True)
    assert followed.filenames.tolist() == [
        *("cat/1.png", "cat/linked.png", "cat/more/2.png", "cat/more/deep/3.png", "dog/1.png")
    ]
    assert followed.labels.tolist() == [0, 0, 0, 0, 1]
    assert followed.passed_over == {"linked folder seen already": 3}
    assert len(Manifest.from_directory(data, labels=None, follow_links=True)) == 5


def test_a_class_may_be_a_linked_folder_as_in_keras_but_not_one_that_leads_back_up(tmp_path):
    make_tree(tmp_path, "data/cat/1.png", "elsewhere/2.png")
    os.symlink("../elsewhere", tmp_path / "data" / "ape")
    os.symlink(".", tmp_path / "data" / "loop")
    found = Manifest.from_directory(tmp_path / "data")
    assert found.passed_over == {"linked folder that leads back up": 1}
    followed = Manifest.from_directory(tmp_path / "data", follow_links=True)
    for manifest in (found, followed, Manifest.from_directory(tmp_path / "data", class_names=["ape", "cat"])):
        assert manifest.class_names == ["ape", "cat"]
        assert manifest.filenames.tolist() == ["ape/2.png", "cat/1.png"]


def test_odd_names_are_found_as_they_are(tmp_path):
    names = [*ODD_NAMES, "\udcff.png"]
    make_tree(tmp_path, *(f"cl ass\n日/{name}" for name in names))
    found = Manifest.from_directory(tmp_path)
    assert found.filenames.tolist() == sorted(f"cl ass\n日/{name}" for name in names)
    assert all(os.path.exists(path) for path in found.file_paths)
    repr(found).encode()  # printable anywhere: no bare surrogate
    assert "\\n" in repr(found)
    assert "\n" not in repr(found)


def test_long_scans_go_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_oocore.manifest.scan.BLOCK_NAMES", 3)
    make_tree(tmp_path, *(f"a/{i:02d}.png" for i in range(10)), *(f"b/{i}.png" for i in range(3)))
    found = Manifest.from_directory(tmp_path)
    assert (found.filenames.tolist(), found.labels.tolist()) == keras_order(tmp_path)


def test_scanning_asks_for_the_size_of_no_file(tmp_path, monkeypatch):
    make_tree(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(50)))
    asked = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *a, **k: asked.append(path) or real(path, *a, **k))
    Manifest.from_directory(tmp_path)
    assert len(asked) < 10


# --- from_arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda n: np.array(n, dtype=object), lambda n: map(Path, n)])
def test_filenames_may_come_as_anything(kind):
    built = Manifest.from_arrays(kind(["a.png", "b/c.png"]))
    assert built.filenames.dtype.kind == "U"
    assert built.filenames.tolist() == ["a.png", "b/c.png"]
    assert built.labels is None


def test_filenames_as_blog_code_saves_them(tmp_path):
    np.save(tmp_path / "filenames.npy", np.array([["a.png"], ["b.png"]]))
    np.save(tmp_path / "labels.npy", np.array([[0.0], [11.0]]))
    built = Manifest.from_arrays(tmp_path / "filenames.npy", str(tmp_path / "labels.npy"), directory=tmp_path)
    assert built.filenames.tolist() == ["a.png", "b.png"]
    assert built.labels.tolist() == [0, 11]
    assert built.labels.dtype == np.int32
    assert built.file_paths == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, bool])
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_whole_numbers_become_class_indices(dtype, shape):
    built = Manifest.from_arrays(["a", "b"], np.array([0, 1], dtype=dtype).reshape(shape))
    assert built.labels.dtype == np.int32
    assert built.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "labels",
    [
        np.eye(2),
        np.array([0.5, 1.0]),
        np.array([[0.5], [1.0]]),
        np.array([-1.0, 1.0]),
        np.array([np.nan, 1.0]),
        np.array([1e12, 1.0]),
        np.zeros((2, 3, 4), dtype=np.uint8),
    ],
)
def test_other_labels_stay_as_they_are(labels):
    built = Manifest.from_arrays(["a", "b"], labels)
    assert built.labels.dtype == labels.dtype
    np.testing.assert_array_equal(built.labels, labels)


@pytest.mark.parametrize(
    "labels",
    [["dog", "cat"], [["dog"], ["cat"]], np.array([b"dog", b"cat"]), np.array(["dog", "cat"], dtype=object)],
)
def test_text_becomes_class_indices(labels):
    built = Manifest.from_arrays(["a", "b"], labels)
    assert built.labels.tolist() == [1, 0]
    assert built.class_names == ["cat", "dog"]
    given = Manifest.from_arrays(["a", "b"], labels, class_names=["dog", "emu", "cat"])
    assert given.labels.tolist() == [0, 2]
    assert given.class_names == ["dog", "emu", "cat"]


def test_unknown_classes_are_named_with_their_file():
    with pytest.raises(DataError, match=r"Unknown class 'dgo' of sample 1 \('b'\).*Did you mean 'dog'\?"):
        Manifest.from_arrays(["a", "b"], ["cat", "dgo"], class_names=["cat", "dog"])
    with pytest.raises(DataError, match=r"Unknown class 2 of sample 1 \('b'\).*0 to 1"):
        Manifest.from_arrays(["a", "b"], [0, 2], class_names=["cat", "dog"])


@pytest.mark.parametrize(
    ("filenames", "labels", "words"),
    [
        (["a", "b"], [0], "Received: 2 filenames and 1 labels"),
        ([], None, "at least one name"),
        (["a", ""], None, "filename of sample 1 is empty"),
        (["a", None], None, "filename of sample 1 should be text. Received: None"),
        (["a", 3], None, "filename of sample 1 should be text. Received: 3"),
        (np.array([["a", "b"]]), None, "should be a list"),
        (["a", "b"], ["cat", None], "label of sample 1 should be a number or text. Received: None"),
        (["a", "b"], [[1, 2], [3]], "shapes differ"),
        (["a", "b"], [["x", "y"], ["z", "w"]], "Text labels should be one a sample"),
    ],
)
def test_arrays_that_cannot_be(filenames, labels, words):
    with pytest.raises(DataError, match=words):
        Manifest.from_arrays(filenames, labels)


def test_a_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "f.npy", np.array(["a", "b"], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"f\.npy' contains pickled Python objects"):
        Manifest.from_arrays(tmp_path / "f.npy")


@pytest.mark.parametrize("name", ["../b.png", "/b.png", "a/../../b.png", "a/b/../../../c"])
def test_a_name_that_would_leave_its_folder(name, monkeypatch):
    monkeypatch.setattr("keras_oocore.manifest.inputs.BLOCK_ROWS", 2)
    with pytest.raises(DataError, match=r"would leave its folder 'photos'.*directory=None") as caught:
        Manifest.from_arrays(["a.png", "b..c.png", "...png", name], directory="photos")
    assert repr(name) in str(caught.value)
    as_it_is = Manifest.from_arrays([name], directory=None)
    assert as_it_is.file_paths == [name]
    assert as_it_is.path(0) == name


# --- from_csv -------------------------------------------------------------------------------------------------------


def csv(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_classes(tmp_path):
    path = csv(tmp_path, "filename,class,other\n007,dog,1\n日本 1.png,NA,2\n")
    for data, directory in ((path, None), (pd.read_csv(path, dtype=str, keep_default_na=False), tmp_path)):
        built = Manifest.from_csv(data, directory=directory)
        assert built.filenames.tolist() == ["007", "日本 1.png"]
        assert built.labels.tolist() == [1, 0]
        assert built.labels.dtype == np.int32
        assert built.class_names == ["NA", "dog"]
        assert built.directory == tmp_path


@pytest.mark.parametrize(
    ("column", "labels", "dtype", "class_names"),
    [
        (["3", "0"], [3, 0], np.int32, None),
        (["0.5", "2e3"], [0.5, 2000], np.float32, None),
        (["1.0", "2.0"], [1, 2], np.float32, None),
        (["007", "012"], [0, 1], np.int32, ["007", "012"]),
        (["nan", "inf"], [1, 0], np.int32, ["inf", "nan"]),
    ],
)
def test_columns_of_numbers_and_of_text_like_numbers(tmp_path, column, labels, dtype, class_names):
    path = csv(tmp_path, "filename,y\n" + "".join(f"{i}.png,{value}\n" for i, value in enumerate(column)))
    built = Manifest.from_csv(path, y_col="y")
    assert built.labels.tolist() == labels
    assert built.labels.dtype == dtype
    assert built.class_names == class_names


def test_class_names_of_a_table_match_as_text_or_are_indexed(tmp_path):
    path = csv(tmp_path, "filename,class\na,5\nb,3\n")
    assert Manifest.from_csv(path, class_names=["3", "5"]).labels.tolist() == [1, 0]
    path = csv(tmp_path, "filename,class\na,1\nb,0\n")
    assert Manifest.from_csv(path, class_names=["cat", "dog"]).labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="Unknown class 'x'"):
        Manifest.from_csv(csv(tmp_path, "filename,class\na,x\n"), class_names=["cat", "dog"])


def test_several_columns_and_none(tmp_path):
    path = csv(tmp_path, "id,x,y\na.png,1,2.5\nb.png,3,4\n")
    built = Manifest.from_csv(path, x_col="id", y_col=["x", "y"])
    assert built.labels.tolist() == [[1, 2.5], [3, 4]]
    assert built.labels.dtype == np.float32
    assert Manifest.from_csv(path, x_col="id", y_col=["x"]).labels.shape == (2, 1)
    assert Manifest.from_csv(path, x_col="id", y_col=None).labels is None


def test_dataframes_keep_their_types():
    table = pd.DataFrame(
        {"filename": ["/a.png", "/b.png"], "i": [1, 0], "f": [1.0, 2.0], "t": ["1", "0"], "b": [True, False]}
    )
    assert Manifest.from_csv(table, y_col="i").labels.tolist() == [1, 0]
    assert Manifest.from_csv(table, y_col="f").labels.dtype == np.float32
    assert Manifest.from_csv(table, y_col="t").class_names == ["0", "1"]
    assert Manifest.from_csv(table, y_col="b").labels.tolist() == [1, 0]
    assert Manifest.from_csv(table, y_col="i").file_paths == ["/a.png", "/b.png"]
    table["c"] = pd.Categorical(["x", "y"])
    assert Manifest.from_csv(table, y_col="c").class_names == ["x", "y"]


def test_absolute_names_in_a_table_are_used_as_they_are(tmp_path):
    path = csv(tmp_path, f"filename\n{tmp_path}/a.png\n")
    assert Manifest.from_csv(path, y_col=None).file_paths == [f"{tmp_path}/a.png"]
    with pytest.raises(DataError, match="would leave its folder"):
        Manifest.from_csv(path, y_col=None, directory=tmp_path)
    with pytest.raises(DataError, match="would leave its folder"):
        Manifest.from_csv(csv(tmp_path, "filename\n../a.png\n"), y_col=None)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (
            "Filename,class\na,b\n",
            {},
            r"no column 'filename' \(x_col\)\. Did you mean 'Filename'\? Columns: 'Filename', 'class'",
        ),
        ("filename,label\na,b\n", {}, r"no column 'class' \(y_col\)"),
        ("filename;class\na;b\n", {}, r"separated by ';': pass pandas.read_csv\(path, sep=';'\)"),
        (
            "filename,class\na,b\n,c\n",
            {},
            r"Row 2 of .*table.csv' \(the header not counted\) has no value in column 'filename'",
        ),
        ("filename,class\na,b\nc,\n", {}, "Row 2 of .* has no value in column 'class'"),
        (
            "filename,x\na,1\nb,cat\n",
            {"y_col": ["x"]},
            "Row 2 of .* holds 'cat' in column 'x', where a number is needed",
        ),
        ("filename,class\n", {}, "at least one name"),
        ("", {}, "is not a CSV file with a header"),
        ('filename,class\n"a,b\n', {}, "is not a CSV file with a header|no value"),
    ],
)
def test_tables_that_cannot_be(tmp_path, text, options, words):
    with pytest.raises(DataError, match=words):
        Manifest.from_csv(csv(tmp_path, text), **options)


def test_a_table_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.csv': No such file"):
        Manifest.from_csv(tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes("filename,class\nä.png,b\n".encode("latin-1"))
    with pytest.raises(DataError, match="in UTF-8"):
        Manifest.from_csv(tmp_path / "latin.csv")


def test_without_pandas_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r'pip install "keras_oocore\[pandas\]"'):
        Manifest.from_csv("table.csv")


# --- using it -------------------------------------------------------------------------------------------------------


def small(num_samples=100, num_classes=4, directory="photos"):
    return Manifest.from_arrays(
        [f"{i:03d}.png" for i in range(num_samples)],
        np.arange(num_samples) % num_classes,
        directory,
        [f"class {c}" for c in range(num_classes)],
    )


def is_aligned(part):
    return [int(name[:3]) % 4 for name in part.filenames] == part.labels.tolist()


def test_a_filename_never_parts_from_its_label():
    whole = small()
    for part in (
        whole.take([3, 1, 1]),
        whole.shuffle(seed=1),
        *whole.split(0.2, 0.1, seed=0),
        whole.take(whole.labels == 2),
    ):
        assert is_aligned(part)
        assert part.class_names == whole.class_names
        assert part.directory == Path("photos")
    assert len(whole.take([])) == 0
    assert whole.take(np.arange(5)).filenames.tolist() == [f"00{i}.png" for i in range(5)]


def test_shuffle_is_repeatable_and_governed_by_keras():
    whole = small()
    assert whole.shuffle(seed=1).filenames.tolist() == whole.shuffle(seed=1).filenames.tolist()
    assert whole.shuffle(seed=1).filenames.tolist() != whole.shuffle(seed=2).filenames.tolist()
    assert sorted(whole.shuffle(seed=1).filenames) == whole.filenames.tolist()
    orders = []
    for seed in (7, 7, 8):
        random.seed(seed)  # as keras.utils.set_random_seed does
        orders.append(whole.shuffle().filenames.tolist())
    assert orders[0] == orders[1] != orders[2]


def test_split_gives_the_parts_asked_for():
    whole = small()
    train, val, test = whole.split(validation_split=0.2, test_split=0.12, seed=0)
    assert (len(train), len(val), len(test)) == (68, 20, 12)
    assert sorted([*train.filenames, *val.filenames, *test.filenames]) == whole.filenames.tolist()
    assert np.bincount(val.labels).tolist() == [5, 5, 5, 5]
    assert np.bincount(test.labels).tolist() == [3, 3, 3, 3]
    train, test = whole.split(test_split=25, seed=0)
    assert (len(train), len(test)) == (75, 25)
    train, val = whole.split(validation_split=0.1, shuffle=False, stratify=False)
    assert val.filenames.tolist() == whole.filenames[90:].tolist()


def test_split_names_small_classes_by_name():
    whole = Manifest.from_arrays(["a", "b", "c", "d"], ["cat", "cat", "cat", "dog"])
    with pytest.raises(OptionError, match=r"too few samples are of class 'dog' \(1\)\. Pass stratify=False"):
        whole.split(0.5)
    assert [len(part) for part in whole.split(0.5, stratify=False)] == [2, 2]


def test_split_of_unlabelled_and_measured_samples():
    assert [len(part) for part in Manifest.from_arrays(["a", "b"]).split(0.5)] == [1, 1]
    measured = Manifest.from_arrays([f"{i}" for i in range(8)], np.linspace(0, 1, 8))
    with pytest.raises(OptionError, match=r"these labels are float64 of shape \(8,\).*stratify=False"):
        measured.split(0.5)
    train, val = measured.split(0.5, stratify=measured.labels > 0.5, seed=0)
    assert (train.labels > 0.5).sum() == (val.labels > 0.5).sum() == 2


def test_it_reads_well():
    assert repr(small(1, 1)) == "Manifest(1 sample of 1 class in 'photos': class 0)"
    assert repr(small(2000, 12)).endswith(
        "(2,000 samples of 12 classes in 'photos': " + ", ".join(f"class {c}" for c in range(8)) + ", …)"
    )
    assert repr(Manifest.from_arrays(["a"])) == "Manifest(1 sample without labels in '.')"
    raw = Manifest.from_arrays(["a", "b"], np.zeros((2, 3, 4)), directory=None)
    assert repr(raw) == "Manifest(2 samples with float64 labels of shape (3, 4))"
    assert repr(Manifest.from_arrays(["a", "b"], [0, 1])) == "Manifest(2 samples with int32 labels in '.')"


def test_summary_counts_classes_sizes_and_formats(tmp_path):
    make_tree(tmp_path, "cat [bold]/1.png", "cat [bold]/2.PNG", "日本/1.jpg", "日本/.hidden")
    summary = Manifest.from_directory(tmp_path).summary()
    assert str(summary) == repr(summary)  # a notebook shows it as it is
    assert "3 samples of 2 classes" in summary
    rows = [line.split() for line in summary.splitlines()[2:4]]
    assert rows == [["cat", "[bold]", "2", "66.7%"], ["日本", "1", "33.3%"]]
    assert "formats: 2 .png, 1 .jpg" in summary
    assert "passed over: 1 hidden" in summary
    assert "missing" not in summary
    (tmp_path / "日本" / "1.jpg").unlink()
    (tmp_path / "cat [bold]" / "1.png").write_bytes(bytes(3000))
    summary = Manifest.from_arrays(["cat [bold]/1.png", "日本/1.jpg"], directory=tmp_path).summary()
    assert "size: 3.0 kB, 3.0 kB a file" in summary
    assert "missing: 1 file, the first" in summary


def test_summary_of_many_classes_is_cut():
    summary = small(1000, 60).summary(max_classes=5)
    assert "… and 55 more" in summary
    assert "class 5" not in summary


def test_it_travels_to_other_processes():
    copy = pickle.loads(pickle.dumps(small()))
    assert repr(copy) == repr(small())
    np.testing.assert_array_equal(copy.filenames, small().filenames)


def test_lengths_are_compared_however_it_is_made():
    with pytest.raises(DataError, match="Received: 2 filenames and 3 labels"):
        Manifest(np.array(["a", "b"]), np.zeros(3))


# --- save and load --------------------------------------------------------------------------------------------------


def same(one, other):
    np.testing.assert_array_equal(one.filenames, other.filenames)
    if one.labels is None or other.labels is None:
        assert one.labels is other.labels
    else:
        assert one.labels.dtype == other.labels.dtype
        np.testing.assert_array_equal(one.labels, other.labels)
    assert one.class_names == other.class_names
    return True


@pytest.mark.parametrize(
    "labels", [None, [0, 1, 2, 3, 4, 5, 6], ["日本", *"abcde", "\udcff\n"], np.eye(7, dtype=np.float16)]
)
def test_saved_manifests_come_back(tmp_path, labels):
    made = Manifest.from_arrays([*ODD_NAMES, "not\udcffutf8.png"], labels, tmp_path)
    assert made.save(tmp_path / "saved") == tmp_path / "saved"
    loaded = Manifest.load(tmp_path / "saved")
    assert same(loaded, made)
    assert loaded.file_paths == made.file_paths
    arrays = ["filenames.npy"] + ["labels.npy"] * (labels is not None)
    assert sorted(os.listdir(tmp_path / "saved")) == [*arrays, "manifest.json"]
    np.testing.assert_array_equal(np.load(tmp_path / "saved" / "filenames.npy"), made.filenames)


def test_a_project_that_moved_still_works(tmp_path, monkeypatch):
    make_tree(tmp_path, "old/photos/cat/1.png")
    monkeypatch.chdir(tmp_path / "old")
    Manifest.from_directory("photos").save("prepared/train")
    monkeypatch.chdir(tmp_path)
    assert os.path.exists(Manifest.load("old/prepared/train").path(0))
    os.rename("old", "new")
    assert os.path.exists(Manifest.load("new/prepared/train").path(0))
    shutil.copytree("new/prepared/train", "far/away/train")  # saved alone: the images are where they were
    os.rename("new", "old")
    assert os.path.exists(Manifest.load("far/away/train").path(0))


def test_filenames_used_as_they_are_stay_so(tmp_path):
    made = Manifest.from_arrays(["/a.png", "../b.png"], directory=None)
    made.save(tmp_path)
    assert Manifest.load(tmp_path).directory is None
    assert Manifest.load(tmp_path).file_paths == ["/a.png", "../b.png"]


def test_saving_again_replaces_labels_too(tmp_path):
    Manifest.from_arrays(["a", "b"], [0, 1]).save(tmp_path)
    Manifest.from_arrays(["c"]).save(tmp_path)
    assert Manifest.load(tmp_path).labels is None
    assert not (tmp_path / "labels.npy").exists()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_half_saved_manifest_is_noticed(tmp_path, monkeypatch, step):
    first, second = Manifest.from_arrays(["a", "b"], [0, 1]), Manifest.from_arrays(["c", "d"], [1, 0])
    first.save(tmp_path)
    real, published = files.publish, []

    def publish(*arguments):
        published.append(arguments)
        if len(published) == step:
            raise KeyboardInterrupt  # as a kill between two renames would
        real(*arguments)

    monkeypatch.setattr(files, "publish", publish)
    with pytest.raises(KeyboardInterrupt):
        second.save(tmp_path)
    monkeypatch.undo()
    if step == 1:
        assert same(Manifest.load(tmp_path), first)
    else:
        with pytest.raises(DataError, match=r"a save was interrupted.*Save the manifest again"):
            Manifest.load(tmp_path)
    second.save(tmp_path)
    assert same(Manifest.load(tmp_path), second)


def test_folders_that_hold_no_manifest(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Manifest.load(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no manifest.json"):
        Manifest.load(tmp_path)
    np.save(tmp_path / "filenames.npy", np.array(["a"]))
    with pytest.raises(DataError, match=r"holds no manifest\.json.*open that with Manifest\.from_arrays"):
        Manifest.load(tmp_path)


def test_damage_and_change_are_noticed(tmp_path):
    small().save(tmp_path)
    json_path = tmp_path / "manifest.json"
    good = json_path.read_text()
    for text, words in [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ('{"format": 1}', "is damaged"),
        (json.dumps(json.loads(good) | {"format": 99}), "has format 99.*Upgrade"),
    ]:
        json_path.write_text(text)
        with pytest.raises(DataError, match=words):
            Manifest.load(tmp_path)
    json_path.write_text(good)
    np.save(tmp_path / "labels.npy", np.zeros(100, dtype=np.int32))
    with pytest.raises(DataError, match=r"labels\.npy' \(100 samples\) is not the file.*or the file changed since"):
        Manifest.load(tmp_path)
    np.save(tmp_path / "labels.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled"):
        Manifest.load(tmp_path)
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"Cannot read '.*labels\.npy'"):
        Manifest.load(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"Cannot write '.*file/manifest\.json'"):
        small().save(tmp_path / "file")


def test_a_million_samples_stay_small(tmp_path):
    num_samples = 1_000_000
    names = np.char.add(np.char.zfill(np.arange(num_samples).astype(str), 36), ".png")
    assert names.dtype == "<U40"
    Manifest(names, np.arange(num_samples, dtype=np.int32) % 100, [*map(str, range(100))], tmp_path).save(tmp_path)
    del names
    tracemalloc.start()
    loaded = Manifest.load(tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(loaded) == num_samples
    assert peak_bytes < 250e6
    assert loaded.filenames.nbytes + loaded.labels.nbytes < 170e6
