"""HTML for notebooks: everything is escaped, and no color is chosen."""

import copy
import json
import pickle
import re
from html.parser import HTMLParser

import pytest

from keras_oocore.core import html

SCRIPT = "<script>alert('x')</script>"


@pytest.mark.parametrize(
    "shown",
    [
        html.heading(SCRIPT, SCRIPT),
        html.note(SCRIPT),
        html.facts([(SCRIPT, SCRIPT)]),
        html.table([SCRIPT], [[SCRIPT]]),
        html.strip([html.Picture("data:image/png;base64,AA==", SCRIPT, f'"{SCRIPT}')]),
        html.strip([html.Picture('"><script>', "a")]),
    ],
)
def test_everything_is_escaped(shown):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, {name for name, _ in attributes}))
    parser.feed(shown)

    assert {tag for tag, _ in found} <= {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "img"}
    assert set().union(*(names for _, names in found)) <= {"style", "title", "src", "alt"}


def test_names_that_cannot_be_encoded_or_printed():
    shown = html.page(html.note("caf\udce9\x00\u202e\n"))

    json.dumps(shown).encode()
    shown.encode()
    assert "caf\\udce9\\x00\\u202e\\n" in shown


def test_long_cells_are_cut_and_sentences_are_not():
    assert len(html.facts([("a", "x" * 10_000)])) < 2000
    assert "x" * 10_000 in html.note("x" * 10_000)


def test_no_color_is_chosen():
    """The theme of Jupyter need not be the one of the browser, and untrusted notebooks lose `<style>`."""
    shown = html.page(
        html.heading("a"),
        html.facts([("a", "b")]),
        html.table(["a"], [[html.bar(0.5)]]),
        html.strip([html.Picture("")]),
    )

    assert not re.search(r"<style|prefers-color-scheme|#[0-9a-fA-F]{3}|(?<![-\w])(white|black)(?![-\w])", shown)
    assert set(re.findall(r"background:([^;]+);", shown)) == {"transparent", "currentColor"}
    assert set(re.findall(r"(?<![-\w])color:([^;]+);", shown)) == {"inherit"}


def test_an_error_shows_the_repr_instead():
    class Broken:
        @html.never_raising
        def _repr_html_(self):
            """Doc."""
            raise ValueError

    assert Broken()._repr_html_() is None
    assert Broken._repr_html_.__doc__ == "Doc."


def test_html_string_is_a_string():
    text = html.HtmlString("a b", "<b>a</b>")

    for same in (text, pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):
        assert (same, repr(same), same._repr_html_()) == ("a b", "a b", "<b>a</b>")
