"""Gives the files of many folders unique, stable and readable names for one folder."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from keras_oocore.core.errors import DataError

SEPARATOR = "__"
MAX_BYTES = 255  # maximum length of a filename on common file systems
UNPORTABLE = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f\ud800-\udfff]')  # not valid on Windows, or not Unicode


def flat_names(
    filenames: Sequence[str], extensions: tuple[str, ...] = (), given: Mapping[str, str] | None = None
) -> list[str]:
    """Names for files in one folder: the parts of each relative path, joined by `__`.

    A short hash of the path is added to the name if the parts contain `__` or a character that is not valid on
    Windows or in Unicode, if the name is too long, or if two names differ only in case or in the encoding of accents.
    (Of such a pair, the name in lower case stays plain.) Names do not depend on the order of the files. Files that are
    added later only change names in the last case.

    Args:
        filenames: Distinct relative paths with forward slashes.
        extensions: File extensions in lower case, which are never shortened.
        given: Names from an earlier call, which do not change.

    Returns:
        List of names, one per filename.

    Raises:
        DataError: If two files would still have the same name.

    >>> flat_names(["cats/001.png", "dogs/001.png", "dogs/small/001.png"])
    ['cats__001.png', 'dogs__001.png', 'dogs__small__001.png']
    >>> flat_names(["cats/a.png", "cats/A.png", "cats/b__c.png"])
    ['cats__a.png', 'cats__A-f61e9a82.png', 'cats__b__c-02067f5c.png']
    """
    given = given or {}
    names = [given.get(name) or _plain_name(name) or _hashed_name(name, extensions) for name in filenames]
    used = {folded(name) for name in given.values()}
    counts = Counter(folded(name) for filename, name in zip(filenames, names) if filename not in given)
    for i, (filename, name) in enumerate(zip(filenames, names)):
        key = folded(name)
        if filename not in given and (key in used or (counts[key] > 1 and name != key)):
            names[i] = _hashed_name(filename, extensions)
    owners = {folded(name): filename for filename, name in given.items()}
    for filename, name in zip(filenames, names):
        other = owners.setdefault(folded(name), filename)
        if other != filename:
            raise DataError(
                f"{filename!r} and {other!r} would have the same name {name!r} in one folder. Rename one of them."
            )
    return names


def folded(name: str) -> str:
    """The form of `name` in which names that a case-insensitive file system does not distinguish are equal.

    >>> folded("Cafe\\u0301.PNG") == folded("CAFÉ.png") == "café.png"
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _plain_name(filename: str) -> str | None:
    """The joined parts, or `None` if they cannot be split into the same parts again or are too long."""
    parts = filename.split("/")
    name = UNPORTABLE.sub("_", SEPARATOR.join(parts))
    return name if name.split(SEPARATOR) == parts and len(name.encode()) <= MAX_BYTES else None


def _hashed_name(filename: str, extensions: tuple[str, ...]) -> str:
    name = UNPORTABLE.sub("_", filename.replace("/", SEPARATOR))
    whole = [extension for extension in extensions if name.lower().endswith(extension)]
    length = max(map(len, whole), default=len(os.path.splitext(name)[1]))
    stem, suffix = name[: len(name) - length], name[len(name) - length :]
    mark = "-" + hashlib.blake2b(os.fsencode(filename), digest_size=4).hexdigest()
    room = MAX_BYTES - len((mark + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + mark + suffix
