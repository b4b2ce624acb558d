"""Folds of a cross-validation: each sample validates once, classes and groups as asked."""

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.folds import fold_indices

CLASSES = np.repeat([0, 1, 2], (20, 10, 5))


@pytest.mark.parametrize("n", [2, 5, 35])
def test_each_sample_is_in_one_validation_part(n):
    folds = fold_indices(35, n, seed=1)

    assert len(folds) == n
    assert sorted(np.concatenate([val for _, val in folds])) == [*range(35)]
    assert all(sorted([*train, *val]) == [*range(35)] for train, val in folds)
    assert np.ptp([len(val) for _, val in folds]) <= 1


def test_folds_have_the_proportions_of_the_classes_and_depend_on_the_seed():
    folds = fold_indices(35, 5, stratify=CLASSES, seed=1)

    assert [np.bincount(CLASSES[val]).tolist() for _, val in folds] == [[4, 2, 1]] * 5
    again, other = fold_indices(35, 5, stratify=CLASSES, seed=1), fold_indices(35, 5, stratify=CLASSES, seed=2)
    assert all((one[1] == two[1]).all() for one, two in zip(folds, again))
    assert any((one[1] != two[1]).any() for one, two in zip(folds, other))


def test_a_group_is_in_one_fold():
    groups = np.arange(35) % 7
    folds = fold_indices(35, 3, stratify=CLASSES, groups=groups, seed=1)

    assert sorted(np.concatenate([val for _, val in folds])) == [*range(35)]
    assert all(not {*groups[train]} & {*groups[val]} for train, val in folds)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(n=1), "from 2 to 35"),
        (dict(n=36), "from 2 to 35"),
        (dict(n=2.0), "from 2 to 35"),
        (dict(n=6, stratify=CLASSES), "Too few samples of class '2' \\(5\\)"),
        (dict(n=3, groups=[0] * 20 + [1] * 15), "2 groups are too few"),
    ],
    ids=str,
)
def test_too_many_folds_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        fold_indices(35, **options)


def test_folds_of_a_manifest():
    files = [f"{number}.png" for number in range(35)]
    manifest = ko.Manifest.from_arrays(files, CLASSES).with_columns(number=np.arange(35))
    for train, val in manifest.folds(5, seed=0):
        assert np.bincount(val.labels).tolist() == [4, 2, 1]
        assert val.columns["number"].tolist() == val.indices.tolist()
        assert len(train) == 28
