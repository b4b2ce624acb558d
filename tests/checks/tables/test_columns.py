"""Columns that `ko.check` finds: those that tell the target, say nothing, or differ from those of other data."""

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.tables.csv.inferred import Place

RNG = np.random.default_rng(0)
CLASSES = RNG.choice(["a", "b", "c"], 400)
NOISE = RNG.normal(size=400)


def found_in(report, name):
    return {
        kind
        for kind in ("target_leaks", "constant", "ids", "drift", "unseen", "differing")
        if name in getattr(report, kind)
    }


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        (lambda price: price, "equals the target"),
        (lambda price: [*price[:-1], 0], "equals the target in 99.75% of the rows"),
        (lambda price: [value * 1000 for value in price], "is the target times 1000"),
        (lambda price: [-value / 3 + 7 for value in price], "their correlation is -1.0"),
        (lambda price: [np.log(value) for value in price], "rank correlation is 1.0"),
        (lambda price: [f"group {value // 10:.0f}" for value in price], "of the variance"),
    ],
)
def test_features_that_tell_a_number(planted, words, write, houses):
    columns = houses()
    columns["price"] = [abs(price) // 1000 + 1 for price in columns["price"]]
    if "variance" in words:
        columns["price"] = [price * 10 + 0.5 for price in RNG.integers(1, 9, 400).tolist()]
    columns["planted"] = planted(columns["price"])
    report = ko.check(write(**columns), target="price")

    assert [*report.target_leaks] == ["planted"]
    assert words in report.target_leaks["planted"]
    assert "'planted' tells the target" in str(report)


@pytest.mark.parametrize(
    "planted",
    [
        [f"code {name}" for name in CLASSES],
        [f"code {name}{i % 20}" for i, name in enumerate(CLASSES)],
        ["abc".index(name) for name in CLASSES],
        ["abc".index(name) * 100 + noise for name, noise in zip(CLASSES, NOISE)],
        [1 if name == "a" else "" if name == "b" else 0 for name in CLASSES],
    ],
    ids=["one value", "several values", "numbers", "ranges", "missing"],
)
def test_features_that_tell_a_class(planted, write, houses):
    columns = {**houses(), "planted": planted, "kind": CLASSES}
    report = ko.check(write(**columns), target="kind")

    assert [*report.target_leaks] == ["planted"]
    assert "(lambda)" in report.target_leaks["planted"] or "equals" in report.target_leaks["planted"]


def test_the_number_of_the_row_tells_a_class_in_a_sorted_file(write, houses):
    columns = {"nr": [*range(400)], **houses(), "kind": sorted(CLASSES)}
    report = ko.check(write(**columns), target="kind")

    assert found_in(report, "nr") == {"target_leaks", "ids"}


def test_a_strong_feature_is_no_leak(write, houses):
    columns = houses()
    columns["price"] = [size * 100 + noise * 3000 for size, noise in zip(columns["size"], NOISE)]
    assert np.corrcoef(columns["size"], columns["price"])[0, 1] > 0.99
    assert not ko.check(write(**columns), target="price").found


def test_values_that_occur_once_tell_nothing(write, houses):
    columns = {**houses(), "name": [f"n{i}" for i in range(400)], "kind": CLASSES}
    report = ko.check(write(**columns), target="kind")

    assert found_in(report, "name") == {"ids"}


def test_a_rare_class_is_not_told_by_a_constant(write, houses):
    columns = {**houses(), "zero": [0] * 400, "kind": ["rare" if i % 80 == 0 else "usual" for i in range(400)]}
    report = ko.check(write(**columns), target="kind")

    assert found_in(report, "zero") == {"constant"}


def test_several_targets(write, houses):
    columns = houses()
    columns["tax"] = RNG.normal(size=400)
    columns["planted"] = columns["tax"]
    report = ko.check(write(**columns), target=["price", "tax"])

    assert report.target_leaks == {"planted": "'tax': equals the target"}


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([5] * 400, "all cells are 5"),
        (["x"] * 400, "all cells are 'x'"),
        ([""] * 400, "all cells are missing"),
        (["2014-10-13"] * 400, "all cells are 2014-10-13"),
    ],
)
def test_constant_columns(cells, words, write, houses):
    report = ko.check(write(**houses(), planted=cells), target="price")

    assert report.constant == {"planted": words}
    assert not report.ids


@pytest.mark.parametrize(
    ("name", "cells", "words"),
    [
        ("id", [*RNG.permutation(10_000)[:400]], "a different number per row: 100.0% of its cells"),
        ("customerId", [*RNG.permutation(10_000)[:398], 77777, 77777], "a different number per row: 99.8%"),
        ("nr", [*range(1, 401)], "a different number per row"),
        ("code", [f"k{i:05}" for i in range(400)], "a different string per row"),
        ("note", [f"it is house {i} of the street" for i in range(400)], "free text"),
    ],
)
def test_nearly_unique_columns(name, cells, words, write, houses):
    report = ko.check(write(**houses(), **{name: cells}), target="price")

    assert [*report.ids] == [name]
    assert words in report.ids[name]


def test_measured_numbers_are_no_ids(write, houses):
    columns = {**houses(), "area": (RNG.permutation(10**6)[:400]).tolist(), "height": RNG.normal(size=400)}
    assert not ko.check(write(**columns), target="price").ids


def test_missing_cells_are_counted_and_are_no_fault(write, houses):
    columns = houses()
    columns["size"][3] = columns["size"][5] = columns["city"][7] = ""
    report = ko.check(write(**columns), target="price")

    assert report.missing == {"size": "2 cells of 400 (0.50%)", "city": "1 cell of 400 (0.25%)"}
    assert (report.columns["size"].missing, report.found) == (2, False)


def test_missing_targets_are_a_fault(write, houses):
    columns = houses()
    columns["price"][3] = ""
    report = ko.check(write(**columns), target="price")

    assert (report.missing, report.found) == ({"price": "1 cell of 400 (0.25%)"}, True)


def check_both(write, mine, theirs, target="price"):
    return ko.check(write("train.csv", **mine), against=write("test.csv", **theirs), target=target)


def test_two_samples_of_the_same_rows_do_not_differ(write, houses):
    for seed in range(5):
        report = check_both(write, houses(300, seed), houses(60, seed + 100))
        assert not report.found, report


def test_other_means(write, houses):
    theirs = houses(seed=1)
    theirs["size"] = [size + 400 for size in theirs["size"]]
    report = check_both(write, houses(), theirs)

    assert [*report.drift] == ["size"]
    assert "standardized mean difference 0." in report.drift["size"]
    assert report.columns["size"].mean_difference == pytest.approx(0.8, abs=0.15)


def test_another_shape_with_the_same_mean(write, houses):
    theirs = houses(seed=1)
    theirs["size"] = [2000 + (1 if i % 2 else -1) * 500 for i in range(400)]
    report = check_both(write, houses(), theirs)

    assert [*report.drift] == ["size"]
    assert report.drift["size"].startswith("population stability index")


def test_other_shares_of_categories(write, houses):
    theirs = houses(seed=1)
    theirs["city"] = ["Rome" if i % 4 else city for i, city in enumerate(theirs["city"])]
    report = check_both(write, houses(), theirs)

    assert [*report.drift] == ["city"]
    assert report.drift["city"].startswith("'Rome' 2")


def test_new_categories(write, houses):
    theirs = houses(seed=1)
    theirs["city"][:4] = ["Paris", "Paris", "Paris", "Lima"]
    report = check_both(write, houses(), theirs)

    assert report.unseen == {"city": "'Paris', 'Lima' in 4 rows"}
    assert report.columns["city"].unseen == {"Paris": 3, "Lima": 1}
    assert not report.drift


def test_rare_categories_are_expected_to_be_new_in_part(write, houses):
    rng = np.random.default_rng(1)
    names = [f"street {value}" for value in rng.zipf(1.5, 1000)]
    mine, theirs = houses(800), houses(200, 1)
    report = check_both(write, {**mine, "street": names[:800]}, {**theirs, "street": names[800:]})

    assert report.columns["street"].unseen
    assert not report.unseen


def test_other_shares_of_missing_cells(write, houses):
    theirs = houses(seed=1)
    theirs["year"] = ["" if i % 3 == 0 else year for i, year in enumerate(theirs["year"])]
    report = check_both(write, houses(), theirs)

    assert report.drift == {"year": "0.0% and 33.5% of the cells are missing"}


def test_other_kinds_and_other_columns(write, houses):
    mine, theirs = houses(), houses(seed=1)
    theirs["year"] = [f"in {year}" for year in theirs["year"]]
    mine["floors"] = theirs["rooms"] = [1 + i % 3 for i in range(400)]
    report = check_both(write, mine, theirs)

    assert {*report.differing} == {"year", "floors", "rooms"}
    assert "numbers in" in report.differing["year"]
    assert "strings in" in report.differing["year"]


def test_a_test_set_needs_no_target(write, houses):
    theirs = houses(seed=1)
    del theirs["price"]
    assert not check_both(write, houses(), theirs).found


def test_dates_do_not_drift(write, houses):
    mine, theirs = houses(), houses(seed=1)
    mine["sold"] = [f"2014-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(400)]
    theirs["sold"] = [f"2015-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(400)]
    report = check_both(write, mine, theirs)

    assert report.columns["sold"].kind == "date"
    assert not report.found


def test_figures_of_columns(write):
    path = write(a=[1, 2, 3, 4, ""], b=["x", "y", "x", "", "x"])
    a, b = ko.check(path).columns.values()

    assert (a.mean, a.std, a.smallest, a.largest, a.missing, a.distinct) == (2.5, 1.25**0.5, 1, 4, 1, 4)
    assert (b.kind, b.mean, b.missing, b.distinct, b.is_exact) == ("string", None, 1, 2, True)


def test_many_distinct_values_are_estimated(write):
    count = 30_000
    report = ko.check(write(a=RNG.normal(size=count), b=[i % 3000 for i in range(count)]))

    assert report.columns["a"].distinct == pytest.approx(count, rel=0.1)
    assert not report.columns["a"].is_exact
    assert (report.columns["b"].distinct, report.columns["b"].is_exact) == (3000, True)


def test_the_names_are_arguments_of_a_sequence(write, houses):
    columns = {"id": [*range(400)], **houses(), "zero": [0] * 400}
    path = write(**columns)
    report = ko.check(path, target="price")
    rows = ko.CSVChunkSequence(
        path, "price", exclude=[*report.ids, *report.constant], categorical=["city"], shuffle=False
    )

    assert rows[0][0].shape == (100, 3)


def test_the_kinds_of_all_columns_are_inferred_at_once(write, houses, monkeypatch):
    """Column by column, the time would grow with the square of their number."""
    sample, numbers = Place.sample, set()
    monkeypatch.setattr(Place, "sample", lambda place, columns: numbers.add(len(columns)) or sample(place, columns))
    path = write(**houses())
    ko.check(path, path, target="price")

    assert numbers == {4}


def test_an_estimated_number_of_distinct_values_is_at_most_that_of_the_rows(write):
    report = ko.check(write(a=[*range(9000)], b=[0, 1] * 4500))

    assert not report.columns["a"].is_exact
    assert 8000 < report.columns["a"].distinct <= 9000
