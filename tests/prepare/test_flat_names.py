"""Names for files in one folder: unique on every file system, and independent of their order."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError
from keras_oocore.prepare.flat_names import MAX_BYTES, flat_names, folded


def test_ambiguous_names_get_a_hash():
    names = flat_names(["a/b__c.png", "a/b/c.png", "a__b/c.png", "a_/b.png", "a/_b.png"], (".png",))
    assert names[1] == "a__b__c.png"
    assert names[4] == "a___b.png"
    hashed = [names[0], names[2], names[3]]
    assert [name[:-12] for name in hashed] == ["a__b__c-", "a__b__c-", "a___b-"]
    assert len(set(names)) == 5


def test_names_that_differ_in_case_or_accents_are_distinct():
    composed, decomposed = (unicodedata.normalize(form, "cat/é.png") for form in ("NFC", "NFD"))
    names = flat_names(["cat/A.png", "cat/a.png", "Cat/a.png", composed, decomposed], (".png",))
    assert len({folded(name) for name in names}) == 5
    assert names[1] == "cat__a.png"
    assert names[3] == unicodedata.normalize("NFC", "cat__é.png")


def test_invalid_characters_are_replaced():
    assert flat_names(["cat/a:b?.png"], (".png",))[0].startswith("cat__a_b_-")
    for name in flat_names(["cat/new\nline.png", "cat/\udcff.png", "cat/a\\b.png"], (".png",)):
        assert name.isprintable()
        name.encode()
        assert "\\" not in name


def test_long_names_are_shortened_and_keep_their_extension():
    long = ["cat/" + "日" * 85 + ".nii.gz", "cat/" + "日" * 84 + "本.nii.gz", "c" * 200 + "/" + "d" * 200 + ".png"]
    names = flat_names(long, (".gz", ".nii.gz"))
    assert all(len(name.encode()) <= MAX_BYTES for name in names)
    assert len(set(names)) == 3
    assert names[0].endswith(".nii.gz")
    assert names[2].endswith(".png")


def test_names_do_not_change_when_files_are_added():
    first = ["cat/A.png", "cat/b.png", "cat/c__d.png"]
    more = [*first, "cat/c/d.png", "cat/B.png", "cat/e.png", "Dog/A.png"]
    assert flat_names(more)[:3] == flat_names(first)


def test_given_names_are_kept():
    given = {"cat/A.png": "cat__A.png"}
    names = flat_names(["cat/a.png", "cat/A.png"], given=given)
    assert names[1] == "cat__A.png"
    assert names[0].startswith("cat__a-")
    assert flat_names(["cat/a.png"], given=given) == names[:1]


def test_equal_names_raise():
    twin = flat_names(["cat/a__b.png"])[0]
    with pytest.raises(DataError, match=r"would have the same name .* Rename one of them"):
        flat_names(["cat/a__b.png", twin.replace("cat__", "cat/", 1).replace("a__b", "a/b")])


paths = st.lists(
    st.lists(st.text("aAé_\u0301ß:.", min_size=1, max_size=4), min_size=2, max_size=4).map("/".join),
    unique=True,
    max_size=30,
)


@given(paths, st.randoms())
def test_names_are_unique_and_independent_of_order(filenames, rng):
    filenames = [name + ".png" for name in filenames]
    names = dict(zip(filenames, flat_names(filenames, (".png",)), strict=True))
    assert len({folded(name) for name in names.values()}) == len(filenames)
    assert not any(set('/<>:"|?*\\') & set(name) for name in names.values())
    rng.shuffle(filenames)
    assert names == dict(zip(filenames, flat_names(filenames, (".png",)), strict=True))
