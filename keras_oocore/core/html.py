"""HTML for notebooks: tables and strips of pictures in the colors of the page. It knows nothing about data.

All styles are written into the elements, because Jupyter removes `<style>` from notebooks that it does not trust. No
color is chosen: text has the color of the page, and lines are a gray that shows on white and on black. So the themes of
Jupyter, VS Code and Colab apply, which need not be the theme of the browser (`prefers-color-scheme`).
"""

import functools
import html
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from keras_oocore.core.text import DisplayString

LONGEST_CELL = 200  # letters; the rest of a longer string is cut off
LINE = "1px solid rgba(128,128,128,0.35)"
PADDING = "padding:2px 16px 2px 0;"
WORDS = f"{PADDING}text-align:left;min-width:7em;max-width:36em;overflow-wrap:anywhere;"
NUMBERS = f"{PADDING}text-align:right;white-space:nowrap;"
TABLE = (
    "border-collapse:collapse;border:none;background:transparent;color:inherit;margin:4px 0;font-size:inherit;"
    "font-variant-numeric:tabular-nums;"
)
ROW = "background:transparent;"
FACT = "vertical-align:top;"
FAINT = "opacity:0.65;font-weight:normal;"
PICTURE = "display:block;width:72px;height:72px;object-fit:cover;margin:0;border-radius:3px;"
FRAME = "display:inline-block;width:72px;margin:6px 8px 2px 0;vertical-align:top;"
CAPTION = "font-size:85%;line-height:1.25;max-height:3.75em;overflow:hidden;overflow-wrap:anywhere;margin-top:2px;"


class Html(str):
    """A string that is HTML already, and not escaped again."""

    __slots__ = ()


class HtmlString(DisplayString):
    """A string that a notebook shows as HTML, and everything else as the text that it is."""

    _html: str

    def __new__(cls, text: str, html: str) -> "HtmlString":
        made = super().__new__(cls, text)
        made._html = html
        return made

    def _repr_html_(self) -> str:
        return self._html

    def __getnewargs__(self) -> tuple[str, str]:
        return str(self), self._html


class Picture(NamedTuple):
    """A small picture.

    Attributes:
        uri: A `data:` URI.
        caption: The string below it.
        name: The string that appears when the mouse is above it.
    """

    uri: str
    caption: str = ""
    name: str = ""


def never_raising(method: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    """Make a `_repr_html_` that returns `None` where `method` raises an error: the notebook then shows the `repr`."""

    @functools.wraps(method)
    def shown(self) -> str | None:
        try:
            return method(self)
        except Exception:
            return None

    return shown


def running_cell() -> int | None:
    """Return the number of the notebook's cell that is running, or `None` outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell.execution_count if shell else None


def escaped(text: object, longest: int | None = LONGEST_CELL) -> Html:
    """Return a string as HTML. What cannot be printed or encoded is written as in Python, and a long string is cut.

    >>> escaped("<b> & 'x'"), escaped("a\\nb"), escaped("\\udcff")
    ('&lt;b&gt; &amp; &#x27;x&#x27;', 'a\\\\nb', '\\\\udcff')
    """
    if isinstance(text, Html):
        return text
    text = str(text)
    if longest is not None and len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return Html(html.escape("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)))


def breakable(text: object) -> Html:
    """Return a string as HTML that breaks after its underscores where it is too long, rather than within a word.

    >>> breakable("Common_wheat")
    'Common_<wbr>wheat'
    """
    return text if isinstance(text, Html) else Html(escaped(text).replace("_", "_<wbr>"))


def page(*parts: str) -> str:
    """Return all parts below each other, as the value of a `_repr_html_`."""
    return f'<div style="color:inherit;background:transparent;">{"".join(parts)}</div>'


def heading(title: str, detail: str = "") -> Html:
    """Return a title in bold, with a detail beside it."""
    return Html(f"<div><b>{escaped(title)}</b> {escaped(detail)}</div>")


def note(text: str) -> Html:
    """Return a sentence or more, in full length."""
    return Html(f'<div style="margin:2px 0;overflow-wrap:anywhere;">{escaped(text, longest=None)}</div>')


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Return a table of names and what they say."""
    rows = (
        f'<tr style="{ROW}"><td style="{WORDS}{FAINT}{FACT}min-width:0;white-space:nowrap;">{escaped(name)}</td>'
        f'<td style="{WORDS}{FACT}">{escaped(text)}</td></tr>'
        for name, text in pairs
    )
    return Html(f'<table style="{TABLE}"><tbody>{"".join(rows)}</tbody></table>')


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[int] = ()) -> Html:
    """Return a table with a title per column.

    Args:
        titles: Titles of the columns.
        rows: The cells of each row. A row may be shorter than the titles.
        numbers: Positions of the columns that are aligned to the right.
    """
    styles = [NUMBERS if position in numbers else WORDS for position in range(len(titles))]
    head = "".join(
        f'<th style="{style}{FAINT}border-bottom:{LINE};">{escaped(title)}</th>' for title, style in zip(titles, styles)
    )
    body = "".join(
        f'<tr style="{ROW}">'
        + "".join(f'<td style="{style}">{breakable(cell)}</td>' for cell, style in zip(row, styles))
        + "</tr>"
        for row in rows
    )
    return Html(
        f'<div style="overflow-x:auto;"><table style="{TABLE}"><thead><tr style="{ROW}">{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bar(share: float) -> Html:
    """Return a bar whose length is a share from 0 to 1."""
    width = 80 * min(max(share, 0.0), 1.0)
    return Html(
        f'<div style="width:{width:.0f}px;min-width:1px;height:0.7em;margin-top:0.35em;background:currentColor;'
        'opacity:0.3;"></div>'
    )


def strip(pictures: Iterable[Picture]) -> Html:
    """Return pictures beside each other, which wrap where the page is narrow. Without pictures, an empty string."""
    frames = "".join(
        f'<div style="{FRAME}" title="{escaped(name)}"><img style="{PICTURE}" src="{escaped_uri(uri)}" '
        f'alt="{escaped(caption)}"><div style="{CAPTION}">{breakable(caption)}</div></div>'
        for uri, caption, name in pictures
    )
    return Html(f"<div>{frames}</div>" if frames else "")


def escaped_uri(uri: str) -> str:
    """Return a URI for an attribute, in full length."""
    return html.escape(uri)
