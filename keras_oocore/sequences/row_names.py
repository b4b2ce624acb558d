"""The columns that name the rows of a Sequence beside predictions: files, row numbers or ids, and labels."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_oocore.core.text import LISTED_NAMES
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.in_order import RowNames
from keras_oocore.sequences.rows_left_out import RowsLeftOut
from keras_oocore.sources.base import Source
from keras_oocore.tables.rows import TableRows


def names_of_samples(source: Source, labels: Labels, manifest: Manifest | None) -> RowNames:
    """Return the columns of files, or of the rows of an array.

    Args:
        source: The samples, without labels.
        labels: Their labels.
        manifest: The files, or `None` for rows of an array.
    """
    chosen = getattr(source, "chosen", None)  # the rows of a part of an array

    def columns(samples: np.ndarray) -> dict[str, np.ndarray]:
        if manifest is None:
            return {"row": samples if chosen is None else chosen[samples]}
        return {"file": strings(manifest.filenames[samples].tolist())}

    def others(samples: np.ndarray) -> dict[str, np.ndarray]:
        if manifest is None:
            return {}
        names = [os.path.basename(name) for name in manifest.filenames[samples].tolist()]
        return {
            "path": strings(manifest.paths(samples)),
            "name": strings(names),
            "stem": strings(os.path.splitext(name)[0] for name in names),
        }

    values = _single_labels(labels)

    def of_samples(samples: np.ndarray, y: Any) -> dict[str, np.ndarray]:
        return {} if values is None else {"label": values[samples]}

    several = labels.values is not None and values is None
    return RowNames(columns, others, of_samples, labels.class_names, [], manifest is not None, several)


def _single_labels(labels: Labels) -> np.ndarray | None:
    """Return one label per sample, or `None` if a sample has none or several."""
    values = labels.values
    if values is None:
        return None
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and labels.class_names and values.shape[1] == len(labels.class_names):
        one_hot = bool(np.isin(values, (0, 1)).all()) and bool((values.sum(axis=1) == 1).all())
        values = values.argmax(axis=1) if one_hot else values
    if values.ndim != 1 or values.dtype.kind == "c":
        return None
    return values.astype(np.int64) if values.dtype.kind in "biu" else values


def names_of_table_rows(rows: TableRows, class_names: list[str] | None, targets: list[str]) -> RowNames:
    """Return the columns of the rows of a table: its ids, or its row numbers.

    Args:
        rows: The rows.
        class_names: Classes of the target of the training rows, or `None`.
        targets: Targets of the training rows, if these are numbers.
    """
    spec = rows.features
    ids = [column.name for column in spec.ids]
    ids_of, numbers_of = _Kept(rows.used.ids), _Kept(rows.used.numbers)

    def row_numbers(samples: np.ndarray) -> dict[str, np.ndarray]:
        found = np.empty(len(samples), np.int64)
        for chunk, places, within in rows.chunks_of(samples):
            found[places] = rows.table.rows[chunk] + numbers_of(chunk)[within]
        return {"row": found}

    def id_columns(samples: np.ndarray) -> dict[str, np.ndarray]:
        found = {name: np.empty(len(samples), object) for name in ids}
        for chunk, places, within in rows.chunks_of(samples):
            for values, name in zip(ids_of(chunk), ids):
                found[name][places] = values[within]
        return found

    def labels(samples: np.ndarray, y: Any) -> dict[str, np.ndarray]:
        return _table_labels(rows, y, len(samples))

    several = spec.classes is not None and spec.classes.separator is not None
    left_out, num_uncounted = None, 0
    if rows.used.may_skip_rows and rows.subset is None:  # of a part, it is not known which of these rows are in it
        left_out = RowsLeftOut(rows, lambda samples: row_numbers(samples)["row"])
        num_uncounted = rows.table.num_bad_rows
    columns, others = (id_columns, row_numbers) if ids else (row_numbers, lambda samples: {})
    uncounted = rows.table.bad_rows(LISTED_NAMES) if num_uncounted else []
    return RowNames(columns, others, labels, class_names, targets, False, several, left_out, num_uncounted, uncounted)


class _Kept:
    """A function of the number of a chunk, which keeps its last result: rows are asked for in their order."""

    def __init__(self, function: Callable[[int], Any]):
        self._function, self._last = function, (-1, None)

    def __call__(self, chunk: int) -> Any:
        if self._last[0] != chunk:
            self._last = chunk, self._function(chunk)
        return self._last[1]


def _are_codes(rows: TableRows) -> bool:
    return rows.features.words[rows.features.first_target].is_code


def _table_labels(rows: TableRows, y: Any, num_rows: int) -> dict[str, np.ndarray]:
    """Return the targets of a batch. Without them, or after a `transform` that changed their shape, there are none."""
    spec = rows.features
    if not isinstance(y, np.ndarray) or len(y) != num_rows or not spec.targets or y.ndim > 2:
        return {}
    classes = spec.classes
    if classes is not None and classes.separator is not None:
        texts = [classes.separator.join(np.array(classes.names, object)[row > 0]) for row in y]
        return {"label": strings(texts)}
    if classes is not None:
        y = y.argmax(axis=1) if classes.mode == "categorical" else y.reshape(num_rows)
        return {"label": y.astype(np.int64)}
    y = y.reshape(num_rows, -1)
    if y.shape[1] != len(spec.targets):
        return {}
    if _are_codes(rows):
        names = [np.array([*spec.vocabularies[target], None], object) for target in spec.targets]  # -1 is not a class
        return {f"label/{target}": names[i][y[:, i].astype(np.int64)] for i, target in enumerate(spec.targets)}
    one = len(spec.targets) == 1
    return {"label" if one else f"label/{target}": np.array(y[:, i]) for i, target in enumerate(spec.targets)}


def strings(values: Any) -> np.ndarray:
    """Return strings as an array of dtype `object`, where a missing one is `None`.

    >>> strings(["a", None])
    array(['a', None], dtype=object)
    """
    values = list(values)
    found = np.empty(len(values), object)
    found[:] = values
    return found
