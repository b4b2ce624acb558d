"""`Format`, an entry of the list of table formats, and `Opening`, what is known when the data of a table are opened."""

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_oocore.csv.cells import Column
from keras_oocore.tables.format import TableFormat

# What a user may pass as `data`: paths, a dictionary of arrays, or a table or stream of any library.
TableData = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, Any] | Any


@dataclasses.dataclass(frozen=True)
class Opening:
    """How the data of a table are opened.

    Attributes:
        reading: The options of reading that the user gives, or that other rows were read with, by their names. Those
            that the format does not have are ignored.
        dtypes: Column → kind, for columns whose kind the user gives.
        num_rows: Number of rows to read, or `None` for all rows.
        known: Name → column of other rows, instead of `dtypes`. Columns of these names are read as the same kinds.
        num_workers: Number of threads.
        cache: Directory of a cache, or `None`.
        kept_in: Directories where `save_indexes` may have stored what the last run found.
        overwrite_cache: Whether to replace what the cache holds of other data.
    """

    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dtypes: Mapping[str, object] | None = None
    num_rows: int | None = None
    known: Mapping[str, Column] | None = None
    num_workers: int = 1
    cache: Path | None = None
    kept_in: Sequence[Path] = ()
    overwrite_cache: bool = False


class Format(NamedTuple):
    """A format of tables.

    Attributes:
        name: Its name, for messages.
        accepts: Function of the user's `data` that returns whether it is of this format. It never raises.
        open: Function of `data` and an `Opening` that returns the table.
        options: Names of the options of reading that the format has.
    """

    name: str
    accepts: Callable[[Any], bool]
    open: Callable[[Any, Opening], TableFormat]
    options: Collection[str]
