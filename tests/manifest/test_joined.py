"""`manifest + manifest`: files, classes, columns and folders of both."""

import os

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError


def manifest(names, labels=None, directory="data/a", **options):
    return ko.Manifest.from_arrays(names, labels, directory, **options)


def test_classes_of_one_name_are_one_class():
    first = manifest(["1.png", "2.png"], ["dog", "cat"])
    second = manifest(["1.png", "2.png", "3.png"], ["bee", "dog", "cat"], "data/b")
    both = first + second

    assert both.class_names == ["cat", "dog", "bee"]
    assert [both.class_names[label] for label in both.labels] == ["dog", "cat", "bee", "dog", "cat"]
    assert both.filenames.tolist() == ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png"]
    assert [os.path.abspath(path) for path in both.file_paths] == [
        os.path.abspath(path) for path in (*first.file_paths, *second.file_paths)
    ]
    assert both.indices.tolist() == [0, 1, 2, 3, 4]


def test_folders_may_be_equal_or_one_within_the_other_or_unknown(tmp_path):
    inner = manifest(["1.png"], directory=tmp_path / "x" / "ü y")
    outer = manifest(["2.png"], directory=tmp_path)
    absolute = manifest([str(tmp_path / "3.png")], directory=None)

    paths = [str(tmp_path / "x" / "ü y" / "1.png"), str(tmp_path / "2.png"), str(tmp_path / "3.png")]
    assert [os.path.normpath(path) for path in (inner + outer + absolute).file_paths] == paths
    assert (outer + manifest(["4.png"], directory=tmp_path)).directory == tmp_path


def test_columns_and_weights_stay_with_their_files():
    first = manifest(["1.png"], ["cat"]).with_columns(sample_weight=[2.0])
    second = manifest(["2.png"], ["cat"]).with_columns(sample_weight=[3.0])

    assert (first + second).sample_weight.tolist() == [2, 3]
    with pytest.raises(DataError, match=r"Only one has.*sample_weight"):
        first + manifest(["2.png"], ["cat"])


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (manifest(["1.png"], ["cat"]), "1 files are in both manifests: '1.png'"),
        (manifest(["2.png"]), "labels of one of them"),
        (manifest(["2.png"], [3]), "should have class names, or none"),
        (manifest(["2.png"], [[0.5, 0.5, 0.1]], class_names=["a", "b", "c"]), "Labels of one shape"),
    ],
)
def test_what_does_not_fit_together_is_refused(second, words):
    with pytest.raises(DataError, match=words):
        manifest(["1.png"], ["cat"]) + second
    with pytest.raises(TypeError):
        manifest(["1.png"], ["cat"]) + ["2.png"]


def test_a_sequence_reads_several_directories(tmp_path):
    for folder, classes in (("2023", ("ant", "bee")), ("2024", ("bee", "cat"))):
        for name in classes:
            (tmp_path / folder / name).mkdir(parents=True)
            np.save(tmp_path / folder / name / "0.npy", np.zeros(2))
    rows = ko.NpyManifestSequence([tmp_path / "2023", tmp_path / "2024"], label_mode="int", shuffle=False)

    assert rows.class_names == ["ant", "bee", "cat"]
    assert rows.labels.tolist() == [0, 1, 1, 2]
    assert [y.tolist() for _, y in rows] == [[0, 1, 1, 2]]
