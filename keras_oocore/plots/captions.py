"""Breaks captions into lines that fit above a picture. Widths are measured in the font of matplotlib."""

import functools
import re

ELLIPSIS = "…"
PARTS = re.compile(r"[^_\-/\\.]*[_\-/\\.]*")  # of a word that is too wide for a line


def wrapped(text: str, width_points: float, size: float, most_lines: int = 3) -> list[str]:
    """Return `text` in lines that are not wider than `width_points`.

    Lines end between words. A word that is wider than a line is divided, such as after the underscores of a file name.
    If there are too many lines, the last one has the end of the text, which tells files apart.

    Args:
        text: The caption.
        width_points: Width of the picture, in points.
        size: Size of the font, in points.
        most_lines: The largest number of lines.
    """
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width(longer, size) <= width_points:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _divided(word, width_points, size)
        lines += whole
    lines += [line] if line else []
    if len(lines) > most_lines:
        lines[most_lines - 1 :] = [_end_of(text, width_points, size)]
    return lines


def width(text: str, size: float) -> float:
    """Return the width of a text in points, in a font of `size` points."""
    return sum(_letter_width(letter) for letter in text) * size


def _divided(word: str, width_points: float, size: float) -> list[str]:
    """A word as lines, divided after its punctuation if possible, and anywhere otherwise."""
    lines, line = [], ""
    for part in PARTS.findall(word):
        if width(line + part, size) <= width_points:
            line += part
            continue
        lines += [line] if line else []
        line = ""
        for letter in part:
            if line and width(line + letter, size) > width_points:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line]


def _end_of(text: str, width_points: float, size: float) -> str:
    """The end of a text after an ellipsis, as much as fits."""
    text = " ".join(text.split())
    start, room = len(text), width_points - width(ELLIPSIS, size)
    while start > 0 and (room := room - width(text[start - 1], size)) >= 0:
        start -= 1
    return ELLIPSIS + text[start:].lstrip()


@functools.lru_cache(maxsize=4096)
def _letter_width(letter: str) -> float:
    """Return how far a letter moves the next one, in a font of one point."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=100)
    both, alone = (text_to_path.get_text_width_height_descent(text, font, False)[0] for text in (f"n{letter}n", "nn"))
    return (both - alone) / 100
