"""Names for files of many folders in one folder: unique, stable, readable. Knows no disk, only names."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from keras_oocore.core.errors import DataError

SEPARATOR = "__"
MAX_BYTES = 255  # of a name, on every common file system
UNPORTABLE = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f\ud800-\udfff]')  # not in names on Windows, or not Unicode


def flat_names(
    filenames: Sequence[str], extensions: tuple[str, ...] = (), given: Mapping[str, str] | None = None
) -> list[str]:
    """A name in one folder for each relative path: its parts joined by `__`.

    A name gets a short hash of its path where the joined parts alone could mean another path (they hold `__`, or a
    character that Windows or Unicode refuses), are too long, or differ from another only in case or in how accents
    are written. Of such a pair the one in lower case keeps its plain name. So names depend on no order, and files
    added later change none but, in the last case, those they would clash with.

    Args:
        filenames: relative paths with forward slashes, all different.
        extensions: endings (in lower case) that stay whole.
        given: names given before, which are kept.

    Raises:
        DataError: when two names are the same all the same.

    >>> flat_names(["cats/001.png", "dogs/001.png", "dogs/small/001.png"])
    ['cats__001.png', 'dogs__001.png', 'dogs__small__001.png']
    >>> flat_names(["cats/a.png", "cats/A.png", "cats/b__c.png"])
    ['cats__a.png', 'cats__A-f61e9a82.png', 'cats__b__c-02067f5c.png']
    """
    given = given or {}
    names = [given.get(name) or _plain_name(name) or _hashed_name(name, extensions) for name in filenames]
    taken = {folded(name) for name in given.values()}
    crowd = Counter(folded(name) for filename, name in zip(filenames, names) if filename not in given)
    for i, (filename, name) in enumerate(zip(filenames, names)):
        key = folded(name)
        if filename not in given and (key in taken or (crowd[key] > 1 and name != key)):
            names[i] = _hashed_name(filename, extensions)
    owners = {folded(name): filename for filename, name in given.items()}
    for filename, name in zip(filenames, names):
        other = owners.setdefault(folded(name), filename)
        if other != filename:
            raise DataError(
                f"{filename!r} and {other!r} would both be named {name!r} in one folder. Rename one of them."
            )
    return names


def folded(name: str) -> str:
    """What a file system that ignores case and the writing of accents takes `name` for.

    >>> folded("Cafe\\u0301.PNG") == folded("CAFÉ.png") == "café.png"
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _plain_name(filename: str) -> str | None:
    """The joined parts, when they can be read back as the same parts and fit."""
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
