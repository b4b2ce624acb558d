"""Says in words what differs between two descriptions of data, which are plain JSON."""

from collections.abc import Mapping
from typing import Any

from keras_oocore.core.data_words import phrase_about
from keras_oocore.core.text import LISTED_NAMES, and_more, listed

MOST_CHARACTERS = 80  # of a value or a list; of longer lists, only the items that differ are named


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a phrase per value that differs.

    A list of lists, such as `columns`, has a list per thing, which begins with its name. Numbers in it are positions,
    mentioned only if nothing else differs.

    Args:
        before: Name → plain JSON.
        now: The same, for what is requested now.

    >>> differences({"seed": 1, "size": [2, 3], "mode": "rgb"}, {"seed": 1, "size": [2, 4]})
    ['size was [2, 3], is [2, 4]', "mode was 'rgb', is None"]
    >>> differences({"dialect": {"delimiter": ",", "header": True}}, {"dialect": {"delimiter": ";", "header": True}})
    ["dialect: delimiter was ',', is ';'"]
    >>> before = [["beds", 0, "float32", "feature"], ["zip", 1, "float32", "feature"], ["year", 2, "date", "feature"]]
    >>> now = [["beds", 0, "float32", "feature"], ["zip", 1, "string", "feature"], ["price", 3, "float32", "target"]]
    >>> differences({"columns": before}, {"columns": now})
    ["columns: without 'year', with 'price', 'zip' was float32 feature, is string feature"]
    >>> differences({"columns": before}, {"columns": [before[2], *before[:2]]})
    ['columns: the same, at other positions']
    """
    pairs = {name: (before.get(name), now.get(name)) for name in {**before, **now}}
    different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    phrases = [phrase for name, pair in different.items() if (phrase := _phrase(name, *pair))]
    return phrases or [f"{name}: the same, at other positions" for name in different]


def _phrase(name: str, before: Any, now: Any) -> str:
    """Return a phrase about one value that differs, or `""` if only positions differ."""
    if phrase := phrase_about(name, before, now):
        return phrase
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        phrases = differences(before, now)
    elif isinstance(before, list) and isinstance(now, list) and (_are_things(before, now) or _are_long(before, now)):
        phrases = _of_items(_words_by_name(before), _words_by_name(now))
    else:
        return f"{name} was {_shortened(before)}, is {_shortened(now)}"
    return f"{name}: {', '.join(phrases[:LISTED_NAMES])}{and_more(len(phrases))}" if phrases else ""


def _of_items(before: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    """Return phrases about the items of a list, given as name → words."""
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    changed = {}
    for name in before:
        if now.get(name, before[name]) != before[name]:
            change = f"was {' '.join(before[name])}, is {' '.join(now[name])}"
            changed.setdefault(change, []).append(name)
    return [
        *([f"without {listed(gone)}"] if gone else []),
        *([f"with {listed(new)}"] if new else []),
        *(f"{listed(names)} {change}" for change, names in changed.items()),
    ]


def _words_by_name(items: list[Any]) -> dict[str, list[str]]:
    """Return the words of each thing of a list, and no words for items that are not lists."""
    words = {}
    for item in items:
        name, *rest = item if isinstance(item, list) and item else [item]
        known = words.setdefault(name if isinstance(name, str) else _shortened(name), [])
        known += [word for word in rest if isinstance(word, str) and word not in known]
    return words


def _are_things(*lists: list[Any]) -> bool:
    """Whether all items are lists that begin with a name."""
    return all(isinstance(item, list) and item and isinstance(item[0], str | None) for items in lists for item in items)


def _are_long(*lists: list[Any]) -> bool:
    return any(len(repr(items)) > MOST_CHARACTERS for items in lists)


def _shortened(value: Any) -> str:
    """Return the `repr` of a value, without the middle of a long one. A checksum is at its end."""
    text, half = repr(value), MOST_CHARACTERS // 2
    return text if len(text) <= MOST_CHARACTERS else f"{text[:half]} ... {text[-half:]}"
