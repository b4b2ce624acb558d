"""The report of a table: in words, as a page, in a notebook and as JSON."""

import importlib
import json
import re

import numpy as np
import pytest

import keras_oocore as ko

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture
def report(write, houses):
    train, test = houses(), houses(seed=1)
    train = {"id": [*range(400)], **train, "zero": ["x"] * 400}
    train["dollars"] = [price * 2 for price in train["price"]]
    train["size"][3] = ""
    for name, cells in train.items():
        cells[9] = cells[8]
        if name in test:
            test[name][3] = cells[6]
    test["city"] = ["Paris" if i % 3 else city for i, city in enumerate(test["city"])]
    path = write("train.csv", **train)
    lines = path.read_text().splitlines()
    lines[21] = "1,2"
    path.write_text("\n".join(lines) + "\n")
    return ko.check(path, write("test.csv", **test), target="price")


def test_words_say_what_was_found_and_what_to_type(report):
    for words in (
        "1 row cannot be read",
        "row 20 (line 22): expected 7 cells, found 2",
        "1 row is a copy of an earlier row: such as rows 8 and 9",
        "1 row is in ",
        "such as row 6, which is row 3 there",
        "'dollars' tells the target: is the target times 2",
        "'zero' is constant: all cells are 'x'",
        "'id' has another value in nearly every row",
        "'zero' does not match: ",
        "'city' has other values there: 'Paris' 0.0% and 66",
        "'city' has new categories there: 'Paris' in 26",
        "'size' has missing cells: 1 cell of 399",
        "exclude=['dollars', 'zero', 'id']",
        "rows = rows.without(report.duplicates)",
        "rows = rows.without(report.leaks)",
    ):
        assert words in str(report), words


def test_the_page_shows_all_findings_and_all_columns(report, tmp_path):
    path = report.to_html(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")

    shown = re.findall(r'<section id="(\w+)">', page)
    assert shown == ["bad", "target_leaks", "leaks", "duplicates", "differing", "drift", "useless", "missing", "data"]
    assert re.findall('href="#(.*?)"', page) == shown[:-1]
    for name in report.columns:
        assert f"<tr><th><div>{name}" in page
    assert "rows 8, 9" in page
    assert "row 6, and row 3 there" in page
    assert not re.search(r"https?:|url\(|@import|<script", page)


def test_more_findings_are_counted(write, houses, tmp_path):
    columns = {name: [*cells, *cells] for name, cells in houses().items()}
    page = ko.check(write(**columns), target="price").to_html(tmp_path / "page.html", max_groups=5).read_text()

    assert page.count("<li><div>rows ") == 5
    assert "and 395 more groups" in page


def test_names_and_cells_are_escaped(write, tmp_path):
    rng = np.random.default_rng(0)
    columns = {"a": [SCRIPT] * 52, SCRIPT: [*rng.normal(size=50), 1, 1], "ünï\u202e種": [*rng.normal(size=50), 1, 1]}
    report = ko.check(write(**columns))
    page = report.to_html(tmp_path / "page.html").read_text(encoding="utf-8")

    assert "<script>" not in page
    assert "<script>" not in report._repr_html_()
    assert "種" in page


def test_a_notebook_shows_the_findings(report):
    shown = report._repr_html_()

    for words in ("Copies of rows", "rows 8, 9", "Features that tell the target", "dollars", "one value", "to_html"):
        assert words in shown, words


def test_json_has_everything(report):
    facts = json.loads(json.dumps(report.to_dict(), allow_nan=False))

    assert facts["duplicates"] == [[8, 9]]
    assert facts["leaks"] == [[6, 3]]
    assert facts["columns"]["city"]["unseen"]["Paris"] > 200
    assert facts["bad"].keys() == {"20"}
    assert facts["found"] is True


def test_dates_are_shown_as_dates(write, houses, tmp_path):
    columns = {**houses(), "sold": [f"2014-10-{1 + i % 28:02}" for i in range(400)]}
    page = ko.check(write(**columns), target="price").to_html(tmp_path / "page.html").read_text()

    assert "2014-10-01 to 2014-10-28" in page


@pytest.mark.parametrize(
    ("columns", "num_rows"), [({"a": []}, 0), ({"a": [1]}, 1), ({"a": [1], "b": ["x"]}, 1), ({"a": [""] * 3}, 3)]
)
def test_few_rows(columns, num_rows, write, tmp_path):
    path = write(**columns)
    for target in (None, "a"):
        report = ko.check(path, against=path, target=target)
        assert report.num_rows == num_rows
        assert str(report)
        report.to_html(tmp_path / "page.html")
        json.dumps(report.to_dict(), allow_nan=False)


def test_an_empty_file_and_a_missing_one(tmp_path):
    (tmp_path / "rows.csv").touch()
    with pytest.raises(ko.DataError, match="empty"):
        ko.check(tmp_path / "rows.csv")
    with pytest.raises(ko.DataError, match=r"No such file.*Did you mean 'rows\.csv'"):
        ko.check(tmp_path / "row.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "prize"}, r"`target` names a column that does not exist: 'prize'\. Did you mean 'price'"),
        ({"columns": ["size", "yaer"]}, r"`columns` names a column that does not exist: 'yaer'\. Did you mean 'year'"),
        ({"mirrored": True}, "`mirrored` is an option of files, and `data` is a table"),
        ({"executor": 3}, "`executor` is an option of files"),
        ({"workers": 0}, "`workers` should be a positive integer"),
    ],
)
def test_wrong_options(options, message, write, houses):
    with pytest.raises(ko.OptionError, match=message):
        ko.check(write(**houses(10)), **options)


def test_options_of_tables_are_refused_for_files(tmp_path):
    with pytest.raises(ko.OptionError, match="`target` is an option of tables"):
        ko.check(tmp_path, target="price")


def test_the_target_of_a_sequence_is_its_own(write, houses):
    rows = ko.CSVChunkSequence(write(**houses()), "price", features=["size"])
    assert ko.check(rows, target="price").targets == ["price"]
    with pytest.raises(ko.OptionError, match="that of the Sequence: 'price'"):
        ko.check(rows, target="size")
    with pytest.raises(ko.OptionError, match="partition"):
        ko.check(rows.partition(2)[0])


def test_a_sequence_whose_rows_cannot_be_read_raises(write, houses):
    path = write(**houses())
    path.write_text(path.read_text() + "x,1,Rome,3\n")
    rows = ko.CSVChunkSequence(path, "price", features=["size"])
    with pytest.raises(ko.DataError, match=r"row 400 \(line 402\), column 'size'"):
        ko.check(rows)


def test_ctrl_c_ends_a_check_and_leaves_nothing(write, houses, monkeypatch, tmp_path):
    measured = importlib.import_module("keras_oocore.checks.tables.measured")
    path = write(**houses())
    monkeypatch.setattr(importlib.import_module("tempfile"), "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measured, "measure_chunk", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ko.check(path)
    assert [*(tmp_path / "temporary").iterdir()] == []
    assert not ko.check(path).found


def test_a_file_that_changes_meanwhile_is_an_error(write, houses, monkeypatch):
    measured = importlib.import_module("keras_oocore.checks.tables.measured")
    path, measure = write(**houses()), measured.measure_chunk

    def and_change(*arguments, **options):
        path.write_text("size\n1\n")
        return measure(*arguments, **options)

    monkeypatch.setattr(measured, "measure_chunk", and_change)
    with pytest.raises(ko.DataError, match="changed"):
        ko.check(path)
