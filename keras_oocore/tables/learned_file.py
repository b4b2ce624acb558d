"""The JSON file of what training rows determine, which another process reads: `save_learned` and `load_learned`."""

import dataclasses
import functools
import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import as_path
from keras_oocore.core.record import NewerRecordError, RecordFormat
from keras_oocore.core.version import __version__
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import NamedColumns
from keras_oocore.tables.learned import Learned, SavedLearned
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.statistics import ColumnStatistics

Options = TypeVar("Options")

CONTENT = "features of a table"
REMEDY = 'Save the features again: train.save_features("features.json").'
LEARNED_FORMAT = RecordFormat(version=1, remedy=REMEDY, requires_checksum=True)


def save_learned(path: str | os.PathLike[str], learned: Learned) -> None:
    """Save what training rows determine.

    Raises:
        DataError: If a cell of the training rows cannot be read.
        DestinationError: If the file cannot be written.
    """
    path, features = as_path(path, "path"), learned.features()
    options = dataclasses.asdict(features.chosen.for_other_rows(with_target=bool(features.targets)))
    LEARNED_FORMAT.write(
        path,
        {
            "content": CONTENT,
            "keras_oocore": __version__,
            "reading": learned.reading,
            "options": options,
            "columns": [dataclasses.asdict(column) for column in learned.columns.values()],
            "means": features.means,
            "codes": features.vocabularies,
            "statistics": {name: _as_json(statistics) for name, statistics in learned.statistics().items()},
        },
    )


def load_learned(path: str | os.PathLike[str], reading: Collection[str]) -> SavedLearned:
    """Return what training rows determined, from a file that `save_learned` wrote.

    Args:
        path: The file.
        reading: Names of the options of reading that this version has.

    Raises:
        RecordError: If the file cannot be read, is damaged, is of another kind, or a newer version wrote it.
    """
    path = as_path(path, "path")
    if os.path.isfile(path) and storage.first_bytes(path, 64).lstrip()[:1] not in (b"", b"{"):
        raise DataError(f"{os.fspath(path)!r} is not a file of features. {REMEDY}")
    try:
        return LEARNED_FORMAT.read(path, functools.partial(_parsed, os.fspath(path), reading))
    except _UnknownNameError as error:
        reason = f"has {error.args[0]!r}, which this version of keras_oocore ({__version__}) does not know"
        raise NewerRecordError.of(path, reason) from None


def _parsed(path: str, reading: Collection[str], saved: dict[str, Any]) -> SavedLearned:
    """Return what the values of a file say."""
    if saved.get("content") != CONTENT:
        raise ValueError("`save_features` did not write it")
    _require_known(saved["reading"], reading)
    columns = {values["name"]: _restored(Column, values) for values in saved["columns"]}
    features = FeatureSpec(NamedColumns([path], columns), _restored(ColumnOptions, saved["options"]))
    features.adopt(
        {str(name): float(mean) for name, mean in saved["means"].items()},
        {str(name): list(map(str, strings)) for name, strings in saved["codes"].items()},
    )
    if features.needs_fit:
        raise ValueError("means or codes are missing")
    statistics = {
        name: ColumnStatistics.from_json(_restored(Column, values["column"]), values)
        for name, values in saved["statistics"].items()
    }
    options = {name: value for name, value in saved["reading"].items() if name in _names(CellOptions)}
    return SavedLearned(path, features, columns, CellOptions(**options), saved["reading"], statistics)


class _UnknownNameError(Exception):
    """A newer version wrote the file, because it has a name that does not exist here."""


def _restored(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Return a dataclass with these values. Fields that did not exist when they were saved have their defaults."""
    _require_known(values, _names(kind))
    return kind(**values)


def _names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _require_known(values: Mapping[str, Any], names: Collection[str]) -> None:
    for name in values:
        if name not in names:
            raise _UnknownNameError(name)


def _as_json(statistics: ColumnStatistics) -> dict[str, Any]:
    """Return statistics as plain JSON, without the distinct numbers, of which there may be many."""
    return {"column": dataclasses.asdict(statistics.column), **statistics.as_json(), "numbers": None}
