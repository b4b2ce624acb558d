"""A report in a notebook: a few groups with thumbnails, in the colors of the page."""

import re

import pytest

from keras_oocore.checks.report import Copies, Leak

SCRIPT = "<script>x"


def test_findings_with_their_thumbnails(make_report, images):
    names = ("Maize/a.png", "Charlock/a.png", "Maize/c.png")
    conflict = Copies(("Charlock/a.png", "Maize/a.png"), ("Charlock", "Maize"), "near")
    report = make_report(
        against="validation",
        bad={"Maize/d.png": "empty file"},
        duplicates=[conflict],
        conflicts=[conflict],
        leaks=[Leak("Maize/c.png", "x.png", "exact")],
        unusual={"blank": {"Maize/c.png": "every pixel is 0"}},
        paths=images(*names),
        not_checked=("true sizes",),
    )
    shown = report._repr_html_()

    assert shown.count("<img") == 2 + 1 + 1
    for words in (
        *("of photos against validation: 4 files", "1 conflict", "1 leak", "Maize/d.png", "empty file", ">Charlock<"),
        *("no picture: x.png", "Maize/c.png every pixel is 0", "Not checked: true sizes", "report.html"),
    ):
        assert words in shown, words


def test_few_files_are_read(make_report, images, opened_files):
    names = images(*(f"{i}.png" for i in range(20)))
    groups = [Copies(tuple(names), (None,) * 20, f"kind {i}") for i in range(1000)]
    report = make_report(
        duplicates=groups, bad={f"{i}.jpg": "empty file" for i in range(100_000)}, paths=names, num_files=10**6
    )
    shown = report._repr_html_()

    assert len(opened_files) == shown.count("<img") == 16
    for words in ("and 996 more groups", "and 16 more files", "and 99,992 more files", "1,000,000 files"):
        assert words in shown, words


def test_names_are_escaped_and_no_color_is_chosen(make_report):
    copies = Copies((SCRIPT, "b"), (SCRIPT, None), SCRIPT)
    shown = make_report(
        data=SCRIPT,
        against=SCRIPT,
        bad={SCRIPT: SCRIPT},
        duplicates=[copies],
        conflicts=[copies],
        leaks=[Leak(SCRIPT, SCRIPT, SCRIPT)],
        unusual={SCRIPT: {SCRIPT: SCRIPT}},
        not_checked=(SCRIPT,),
    )._repr_html_()

    assert "<script" not in shown
    assert not re.search(r"<style|prefers-color-scheme|#[0-9a-fA-F]{3}|(?<![-\w])(white|black)(?![-\w])", shown)


def test_nothing_found(make_report):
    assert "Nothing was found." in make_report()._repr_html_()


@pytest.mark.parametrize("broken", [{"duplicates": [None]}, {"bad": None}])
def test_an_error_shows_the_repr_in_its_place(make_report, broken):
    assert make_report(**broken)._repr_html_() is None
