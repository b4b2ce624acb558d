"""Categories that differ only in how they are written, such as `1` and `1.0`, which would be two without a warning."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.warn import warn_user

MOST_CATEGORIES = 100_000  # of a column that is compared: beyond, it is free text or an id
MOST_PLACES = 8  # chunks with unknown categories that are compared, so that many new ones take no time
MOST_UNKNOWN = 1000  # distinct categories of a chunk that are compared
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d*)?(e\+?\d{1,2})?", re.ASCII | re.IGNORECASE)  # which float64 tells apart
WHOLE = re.compile(r"[+-]?\d+\.0+", re.ASCII)


def sense_of(text: str) -> float | str:
    """Return what strings share that people take for one category: the number, or the words in small letters.

    >>> sense_of("007") == sense_of("7.0"), sense_of(" True") == sense_of("true"), sense_of("7") == sense_of("7.5")
    (True, True, False)
    """
    text = text.strip()
    return float(text) if NUMBER.fullmatch(text) else text.casefold()


class Lookalikes:
    """The categories of training rows, compared with unknown ones of other rows.

    >>> Lookalikes().of("zip", "1.0", ["2", "1"])
    '1'
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Sequence[str], dict[float | str, str]]] = {}
        self._places: dict[str, int] = {}
        self._written_twice: set[str] = set()

    def of(self, name: str, text: str, vocabulary: Sequence[str]) -> str | None:
        """Return the known category that is written in another way than an unknown one, or `None`.

        Args:
            name: Name of the column.
            text: The unknown category.
            vocabulary: The known categories.
        """
        if len(vocabulary) > MOST_CATEGORIES:
            return None
        known = self._known.get(name)
        if known is None or known[0] is not vocabulary:
            known = vocabulary, {sense_of(category): category for category in reversed(vocabulary)}
            self._known[name] = known
        return known[1].get(sense_of(text))

    def warn(
        self, name: str, texts: Any, unknown: np.ndarray, vocabulary: Sequence[str], where: Callable[[int], str]
    ) -> None:
        """Warn once per column of an unknown category that is a known one, written in another way.

        Args:
            name: Name of the column.
            texts: `pyarrow` array of strings.
            unknown: Positions of the unknown ones.
            vocabulary: The known categories.
            where: Function from a position to how messages name its row.
        """
        if self._places.get(name, 0) >= MOST_PLACES:
            return
        self._places[name] = self._places.get(name, 0) + 1
        distinct = texts.take(unknown).unique().to_pylist()[:MOST_UNKNOWN]
        found = next(((text, known) for text in distinct if (known := self.of(name, text, vocabulary))), None)
        if found is None:
            return
        self._places[name] = MOST_PLACES
        text, known = found
        row = next(int(i) for i in unknown if texts[int(i)].as_py() == text)
        numbers = isinstance(sense_of(text), float)
        fix = f", such as with dtype={{{name!r}: str}} in pandas.read_csv" if numbers else ""
        warn_user(
            f"{where(row)}, column {name!r}: {text!r} is not a category of the training rows, though {known!r} is. It "
            f"has the code of unknown categories. If they are the same: write both in one way{fix}."
        )

    def warn_of_numbers_written_twice(self, name: str, texts: Sequence[str]) -> None:
        """Warn once of categories such as `1` and `1.0`: pandas writes the latter if cells of the column are missing.

        Args:
            name: Name of the column.
            texts: Its categories.
        """
        if name in self._written_twice or len(texts) > MOST_CATEGORIES:
            return
        known = set(texts)
        found = next((text for text in texts if WHOLE.fullmatch(text) and text.partition(".")[0] in known), None)
        if found is None:
            return
        self._written_twice.add(name)
        warn_user(
            f"Column {name!r} has the categories {found.partition('.')[0]!r} and {found!r}, which have different "
            "codes. If they are the same: write them in one way. pandas adds '.0' to integers if a cell "
            "of their column is missing, unless it is of dtype 'Int64'."
        )
