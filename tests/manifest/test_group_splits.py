"""Splits by groups that keep the classes balanced."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.manifest.group_splits import MOST_BALANCED_GROUPS, split_groups
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.splits import split_indices


def patients(num_patients, rng, rare=10):
    """Groups and labels: each patient has 1 to 12 samples of one of three classes, and class 3 has `rare` patients."""
    sizes = rng.integers(1, 13, num_patients)
    classes = rng.integers(0, 3, num_patients)
    classes[rng.choice(num_patients, rare, replace=False)] = 3
    return np.repeat(np.arange(num_patients), sizes), np.repeat(classes, sizes)


@pytest.mark.parametrize("seed", range(8))
def test_rare_class_is_in_every_part_in_its_proportion(seed):
    groups, labels = patients(100, np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = split_indices(len(groups), 0.2, 0.1, stratify=labels, groups=groups, seed=seed)

    whole = np.bincount(labels, minlength=4) / len(labels)
    for part, share in zip(parts, (0.7, 0.2, 0.1)):
        assert abs(len(part) / len(groups) - share) < 0.02
        assert np.abs(np.bincount(labels[part], minlength=4) / len(part) - whole).max() < 0.05
    of_parts = [set(groups[part]) for part in parts]
    assert sum(map(len, of_parts)) == len(set(groups))


def test_class_of_two_groups_is_in_both_parts():
    groups = np.arange(100) // 5
    labels = (groups >= 18).astype(int)  # two groups
    for seed in range(5):
        train, val = split_indices(100, 0.2, stratify=labels, groups=groups, seed=seed)
        assert labels[train].sum() == labels[val].sum() == 5
        assert len(val) == 20


def test_class_that_a_part_lacks_is_named_in_one_warning():
    groups = np.arange(60) // 3
    labels = np.where(groups == 7, "emu", np.where(groups == 9, "owl", "ant"))
    manifest = Manifest.from_arrays([f"{i}.png" for i in range(60)], labels)
    with pytest.warns(UserWarning, match="do not allow every class in every part") as warned:
        train, val = manifest.split(0.2, groups=groups, seed=0)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    classes = {0: "ant", 1: "emu", 2: "owl"}
    for name, part in (("train", train), ("validation", val)):
        names = [repr(classes[label]) for label in sorted({*classes} - {*part.labels.tolist()})]
        said = f"the {name} part has no samples of {', '.join(names)}"
        assert (said in str(warned[0].message)) == bool(names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest.split(0.2, groups=groups, stratify=False, seed=0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=30), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_groups_stay_together_and_no_part_is_empty(group_sizes, num_classes, seed):
    groups = np.repeat(np.arange(len(group_sizes)), group_sizes)
    labels = np.random.default_rng(seed).integers(0, num_classes, len(groups))
    if len(groups) < 5:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = {"train": len(groups) - 3, "validation": 2, "test": 1}
        parts = split_groups(groups, labels, sizes, seed)
        again = split_groups(groups, labels, sizes, seed)

    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    assert sum(len(set(groups[part])) for part in parts) == len(group_sizes)
    assert [part.tolist() for part in parts] == [part.tolist() for part in again]


def test_very_many_groups_are_split_quickly():
    groups = np.arange(MOST_BALANCED_GROUPS + 1)
    labels = np.zeros_like(groups)
    labels[:: MOST_BALANCED_GROUPS // 10] = 1
    train, val = split_indices(len(groups), 0.2, stratify=labels, groups=groups, seed=0)

    assert labels[train].any()
    assert labels[val].any()
