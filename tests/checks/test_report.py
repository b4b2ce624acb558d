"""The report in words, and what `Manifest.without` removes of it."""

import warnings

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.checks.report import CheckReport, Copies, Leak

EXACT = Copies(("cat/1.png", "cat/2.png", "cat/3.png"), ("cat",) * 3, "exact")
CONFLICT = Copies(("cat/4.png", "dog/4.png"), ("cat", "dog"), "near")


def report(**changes):
    found = dict(
        data="photos",
        against=None,
        num_files=6,
        class_counts={"cat": 4, "dog": 2},
        formats={"PNG": 5, "JPEG": 1},
        sizes={(120, 160): 4, (60, 80): 1},
        bad={},
        duplicates=[],
        conflicts=[],
        leaks=[],
        unusual={},
        groups=np.arange(6),
        seconds=1.25,
    )
    return CheckReport(**{**found, **changes})


@pytest.fixture
def manifest():
    names = ["cat/1.png", "cat/2.png", "cat/3.png", "cat/4.png", "dog/4.png", "dog/5.png"]
    return ko.Manifest.from_arrays(names, [name[:3] for name in names])


def test_repr_without_findings():
    assert repr(report()) == (
        "Check of 'photos': 6 files of 2 classes (5 PNG, 1 JPEG, 60x80 to 120x160 pixels), in 1.2 s\n"
        "  nothing was found"
    )


def test_repr_with_findings_says_what_to_do_next():
    found = report(
        against="val",
        bad={"cat/0.png": "empty file"},
        duplicates=[EXACT, CONFLICT],
        conflicts=[CONFLICT],
        leaks=[Leak("cat/1.png", "a.png", "exact"), Leak("dog/5.png", "b.png", "near")],
        unusual={"blank": {"dog/5.png": "all of its pixels are almost equal"}},
        not_checked=("Mirrored copies.",),
    )
    assert repr(found).splitlines()[1:] == [
        "  1 file cannot be read or is damaged: 'cat/0.png' (empty file)",
        "  1 group with 3 files of equal content: such as 'cat/1.png' and 'cat/2.png'",
        "  1 group with 2 files of the same picture: such as 'cat/4.png' and 'dog/4.png'",
        "  1 group of copies has different classes: such as 'cat/4.png' (cat) and 'dog/4.png' (dog)",
        "  2 files have copies in 'val' (1 exact, 1 near): such as 'cat/1.png' and 'a.png'",
        "  1 file, blank: 'dog/5.png' (all of its pixels are almost equal)",
        "  not checked: Mirrored copies.",
        "next: manifest = manifest.without(report.bad)",
        "      manifest = manifest.without(report.duplicates)  # keeps one of each group",
        "      report.conflicts  # look at them: which class is right?",
        "      train = train.without(report.leaks)",
        "      manifest.split(groups=report.groups, ...)  # or keep copies on the same side",
    ]
    assert repr(found).startswith("Check of 'photos' against 'val': ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"bad": {"a": "b"}}, True),
        ({"duplicates": [EXACT]}, True),
        ({"leaks": [Leak("a", "b", "near")]}, True),
        ({"unusual": {"blank": {"a": "b"}}}, True),
        ({"unusual": {"blank": {}}, "not_checked": ("a",)}, False),
    ],
)
def test_found(changes, expected):
    assert report(**changes).found is expected


def test_without_bad_files(manifest):
    assert "dog/5.png" not in manifest.without(report(bad={"dog/5.png": "empty"}).bad).filenames


def test_without_duplicates_keeps_the_first_by_name(manifest):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = manifest.shuffle(seed=3).without([EXACT])

    assert sorted(kept.filenames) == ["cat/1.png", "cat/4.png", "dog/4.png", "dog/5.png"]
    assert kept.labels.tolist() == [int(name.startswith("dog")) for name in kept.filenames]


def test_without_duplicates_keeps_one_of_those_that_a_part_has(manifest):
    part = manifest.take([1, 2, 5])

    assert part.without([EXACT]).filenames.tolist() == ["cat/2.png", "dog/5.png"]
    assert part.without([EXACT]).indices.tolist() == [1, 5]


def test_conflicts_stay_with_a_warning_that_says_what_to_type(manifest):
    with pytest.warns(UserWarning, match=r"1 group of copies with different classes stays .*'cat/4.png', 'dog/4.png'"):
        kept = manifest.without([EXACT, CONFLICT])
    assert {"cat/4.png", "dog/4.png"} <= {*kept.filenames}

    found = report(duplicates=[EXACT, CONFLICT], conflicts=[CONFLICT])
    assert found.conflicting_files == ["cat/4.png", "dog/4.png"]
    assert not {"cat/4.png", "dog/4.png"} & {*manifest.without(found.conflicting_files).filenames}


def test_leaks_with_another_class_are_named_with_both(make_report):
    leaks = [Leak("1.png", "a.png", "exact", ("cat", "cat")), Leak("2.png", "b.png", "near", ("cat", "dog"))]
    report = make_report(leaks=leaks, against="val", num_files=2)

    assert [leak.is_conflict for leak in leaks] == [False, True]
    assert not Leak("3.png", "c.png", "near", ("cat", None)).is_conflict
    assert "1 of them has another class there: such as '2.png' (cat) and 'b.png' (dog)" in str(report)


def test_without_leaks(manifest):
    kept = manifest.without([Leak("cat/1.png", "val.png", "near"), Leak("other.png", "val.png", "near")])

    assert len(kept) == 5
    assert "cat/1.png" not in kept.filenames


@pytest.mark.parametrize("files", ["cat/1.png", 3, [3], None])
def test_without_something_else_is_an_error(manifest, files):
    with pytest.raises(ko.OptionError, match="`files` should be a list of filenames, or `bad`"):
        manifest.without(files)


def test_without_nothing_is_the_same(manifest):
    assert manifest.without([]).filenames.tolist() == manifest.filenames.tolist()
