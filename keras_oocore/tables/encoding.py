"""Cells as rows of numbers: codes for strings, and replacements for missing cells, as a `FeatureSpec` describes."""

from collections.abc import Callable, Mapping

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import Cells, Column, is_missing
from keras_oocore.csv.dates import PARTS_OF_TIME
from keras_oocore.csv.moments import DAY_SECONDS
from keras_oocore.tables.cells import as_codes, rounded_by_float32
from keras_oocore.tables.feature_warnings import warn_of_loss
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.row_layout import Word

NO_LABEL = -1  # code of a missing cell of a target with `label_separator`
MISSING_CODE, UNKNOWN_CODE, FIRST_CODE = 0, 1, 2  # as in keras.layers.StringLookup with a mask token


def complete_rows(features: FeatureSpec, cells: Cells) -> np.ndarray | None:
    """Return which rows are used, `bool` of shape `(n,)`, or `None` for all.

    With `missing="drop"`, rows with a missing cell in a column that is read are not used.
    """
    if features.missing != "drop":
        return None
    return ~np.logical_or.reduce([is_missing(cells.columns[column.name]) for column in features.columns])


def encode(
    features: FeatureSpec,
    cells: Cells,
    where: Callable[[int], str],
    position: Callable[[Column], int] = lambda column: column.position,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return rows, `float32` of shape `(n, words)`.

    Args:
        features: The layout of a row, fitted if necessary.
        cells: The cells of a chunk.
        where: Function from the number of a row in the chunk to how messages name it.
        position: Function from a column to its position in the file of the chunk, for messages.
        out: Array for the rows, or `None` for a new one.

    Raises:
        DataError: If a cell is missing and has no replacement, or a target is not one of the classes.

    >>> import tempfile
    >>> from keras_oocore.tables.csv.table import CSVTable, Dialect
    >>> from keras_oocore.tables.options import ColumnOptions
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,price\\n1000,1\\n,2\\n")
    >>> table = CSVTable(path, Dialect())
    >>> features = FeatureSpec(table, ColumnOptions("price", missing={"sqft": 500}, indicator=True))
    >>> encode(features, table.read(0, features.columns), where=str).tolist()
    [[1000.0, 0.0, 1.0], [500.0, 1.0, 2.0]]
    """
    absent = {column.name: is_missing(cells.columns[column.name]) for column in features.columns}
    _require_present(features, absent, cells, where, position)
    rows = np.empty((len(cells.rows), len(features.words)), np.float32) if out is None else out
    for i, word in enumerate(features.words):
        of_word, gaps = rows[:, i], absent[word.column.name]
        if word.role == "missing":
            of_word[...] = gaps
        elif word.is_code:
            codes = _codes(features, word, cells, gaps, where, position)
            (rows.view(np.int32)[:, i] if features.holds_bits(i) else of_word)[...] = codes
        else:
            values = cells.columns[word.column.name].to_numpy(zero_copy_only=False)
            _warn_of_rounding(features, word.column, values)
            _warn_of_infinity(features, word.column, values, lambda row: where(int(cells.rows[row])))
            of_word[...] = values
            if gaps.any():
                of_word[gaps] = _replacement(features, word)
    return rows


def first_gap(
    features: FeatureSpec,
    absent: Mapping[str, np.ndarray],
    position: Callable[[Column], int] = lambda column: column.position,
) -> tuple[int, Word] | None:
    """Return row and word of the first missing cell that has no replacement, or `None`.

    Args:
        features: The layout of a row, fitted if necessary.
        absent: Column → which cells are missing, `bool` of shape `(n,)`.
        position: Function from a column to its position in the file.
    """
    gaps = [
        (int(np.argmax(absent[word.column.name])), position(word.column), word)
        for word in features.words
        if word.role != "missing" and absent[word.column.name].any() and _replacement(features, word) is None
    ]
    row, _, word = min(gaps, key=lambda gap: gap[:2], default=(0, 0, None))
    return None if word is None else (row, word)


def _replacement(features: FeatureSpec, word: Word) -> float | None:
    """Return what replaces a missing cell, or `None` if a missing cell is an error."""
    if word.is_code:
        return (NO_LABEL if _may_lack_labels(features) else None) if word.role == "target" else MISSING_CODE
    if isinstance(features.missing, Mapping):
        return features.missing.get(word.column.name)
    if word.role != "feature":
        return None
    return {"nan": np.nan, "mean": features.means.get(word.column.name)}.get(features.missing)


def _codes(
    features: FeatureSpec,
    word: Word,
    cells: Cells,
    absent: np.ndarray,
    where: Callable[[int], str],
    position: Callable[[Column], int],
) -> np.ndarray:
    """Return the codes of strings, or the indices of classes."""
    column = word.column
    texts, vocabulary = cells.columns[column.name], features.vocabularies[column.name]
    codes = as_codes(texts, vocabulary)  # -1 if it is unknown
    unknown = np.flatnonzero((codes < 0) & ~absent)
    if word.role != "target":
        if len(unknown):
            features.lookalikes.warn(column.name, texts, unknown, vocabulary, lambda row: where(int(cells.rows[row])))
        return np.where(absent, MISSING_CODE, np.where(codes < 0, UNKNOWN_CODE, codes + FIRST_CODE))
    if len(unknown):
        text = texts[int(unknown[0])].as_py()
        if features.classes is not None:  # otherwise there are several targets
            vocabulary = features.classes.names
            text = next((label for label in features.classes.labels(text) if label not in vocabulary), text)
        known = features.lookalikes.of(column.name, text, vocabulary)
        raise DataError(
            f"{where(int(cells.rows[unknown[0]]))}, column {column.name!r} (#{position(column)}): {text!r} is not one "
            f"of the {len(vocabulary)} classes of the training rows{'' if known is None else f', though {known!r} is'}"
            f". Fix: {'train on rows that have it, or remove its rows' if known is None else 'write it in this way'}."
        )
    return codes


def _may_lack_labels(features: FeatureSpec) -> bool:
    """Return whether a missing cell of the target means that the row has no label."""
    return features.classes is not None and features.classes.separator is not None


def _warn_of_rounding(features: FeatureSpec, column: Column, values: np.ndarray) -> None:
    """Warn once per column of what `float32` rounds: times of day, or integers if the sampled cells had none."""
    if column.name in features.rounded:
        return
    if column.kind == "date":
        _warn_of_lost_times(features, column, values)
    elif (rounded := rounded_by_float32(values)) is not None:
        features.rounded.add(column.name)
        warn_of_loss(column.name, f"integers beyond 2^24, which float32 rounds, such as {rounded:.0f}")


def _warn_of_infinity(features: FeatureSpec, column: Column, values: np.ndarray, where: Callable[[int], str]) -> None:
    """Warn once per column of an infinite number, with which a model computes NaN."""
    if column.name in features.infinite or not np.isinf(values).any():
        return
    features.infinite.add(column.name)
    row = int(np.argmax(np.isinf(values)))
    warn_user(
        f"{where(row)}, column {column.name!r}: the number is {values[row]}, and the loss of most models becomes NaN. "
        "Replace such numbers in the data. In a CSV file, null_values=[..., 'inf', '-inf'] makes them missing cells."
    )


def _warn_of_lost_times(features: FeatureSpec, column: Column, values: np.ndarray) -> None:
    """Warn if `float32` moves a time of day by more than a second, and no other feature has the time."""
    lost_seconds = np.fmax.reduce(np.abs(values.astype(np.float32) - values), initial=0) * DAY_SECONDS
    if lost_seconds <= 1:
        return
    features.rounded.add(column.name)
    if any(other.position == column.position and other.part in PARTS_OF_TIME for other in features.columns):
        return
    step_seconds = float(np.spacing(np.float32(np.fmax.reduce(np.abs(values))))) * DAY_SECONDS
    name = column.name_in_file
    warn_user(
        f"Column {name!r} has times of day. Days since 1970 in float32 keep them in steps of {step_seconds:.0f} "
        f"seconds. To keep them: dates={{{name!r}: ['days', 'hour', 'minute']}}"
    )


def _require_present(
    features: FeatureSpec,
    absent: Mapping[str, np.ndarray],
    cells: Cells,
    where: Callable[[int], str],
    position: Callable[[Column], int],
) -> None:
    """Raise for the first row with a missing cell that has no replacement."""
    gap = first_gap(features, absent, position)
    if gap is None:
        return
    row, word = gap
    counts = ", ".join(f"{name!r}: {int(mask.sum())}" for name, mask in absent.items() if mask.any())
    if features.learned:
        remedies = "fill the cell, or " + ("train with missing='mean'" if word.role == "feature" else "remove the row")
    else:
        remedies = "missing='mean', 'nan', 'drop' or {column: value}" if word.role == "feature" else "missing='drop'"
    raise DataError(
        f"{where(int(cells.rows[row]))}, column {word.column.name!r} (#{position(word.column)}): "
        f"the cell is missing. Missing cells in this part of the data: {counts}. Fix: {remedies}."
    )
