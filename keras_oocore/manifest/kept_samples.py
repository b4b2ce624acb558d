"""Chooses the samples of a manifest that stay when files are removed by name, or groups of copies are."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted, listed, shown
from keras_oocore.core.warn import warn_user

BLOCK_NAMES = 65_536  # that are Python strings at once
EXPECTED = "`files` should be a list of filenames, or `bad`, `duplicates` or `leaks` of the report of ko.check"


def kept_samples(filenames: np.ndarray, files: Iterable[Any]) -> np.ndarray:
    """Return the numbers of the samples that stay, an `int64` array in rising order.

    Args:
        filenames: String array of shape `(num_samples,)`.
        files: Filenames, or groups: objects with `files` whose method `removable(names)` returns those of them to
            remove. It returns `None` for a group that the user must decide.

    Raises:
        OptionError: If `files` contains something else.

    >>> kept_samples(np.array(["a", "b", "c"]), {"b": "truncated"}).tolist()
    [0, 2]
    """
    if isinstance(files, str | os.PathLike) or not np.iterable(files):
        raise OptionError(f"{EXPECTED}. Received: files={shown(files)}")
    files = list(files)
    removed, undecided, once = set(), [], set()
    groups = [item for item in files if hasattr(item, "removable")]
    removed.update(_filename(item) for item in files if not hasattr(item, "removable"))
    mentioned = {name for group in groups for name in group.files}
    present = {name for block in _blocks(filenames) for name in block if name in mentioned}
    for group in groups:
        gone = group.removable(present)
        if gone is None:
            undecided.append(group)
            continue
        removed.update(gone)
        once.update(name for name, count in Counter(group.files).items() if count > 1)
    _warn_of_undecided(undecided)
    return np.flatnonzero(np.fromiter(_stays(filenames, removed, once), bool, len(filenames)))


def _blocks(filenames: np.ndarray) -> Iterator[list[str]]:
    for start in range(0, len(filenames), BLOCK_NAMES):
        yield filenames[start : start + BLOCK_NAMES].tolist()


def _stays(filenames: np.ndarray, removed: set[str], once: set[str]) -> Iterator[bool]:
    """Yield whether each sample stays. Of a file that the manifest names several times, the first one may."""
    for block in _blocks(filenames):
        for name in block:
            stays = name not in removed
            if name in once:
                removed.add(name)
            yield stays


def _filename(item: Any) -> str:
    try:
        return os.fsdecode(item)
    except TypeError:
        raise OptionError(f"{EXPECTED}. Received: {shown(item)} in it") from None


def _warn_of_undecided(groups: list[Any]) -> None:
    if not groups:
        return
    first = groups[0]
    warn_user(
        f"{counted(len(groups), 'group')} of copies with different classes "
        f"{'stays' if len(groups) == 1 else 'stay'} in the manifest, such as {listed(first.files)} "
        f"({', '.join(map(str, first.classes))}). Look at report.conflicts, and remove the files with the wrong class "
        "by name. To remove all of them: manifest.without(report.conflicting_files)"
    )
