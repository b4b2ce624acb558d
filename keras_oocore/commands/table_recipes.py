"""Writes the lines of Python that train from tables, and from their caches."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.commands.recipes import IMPORTS, SEED, SPLIT, Outputs, quoted
from keras_oocore.core.data_words import LEFT_OUT, SPLIT_ARGUMENTS
from keras_oocore.core.errors import DataError
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import NULL_VALUES, Dialect
from keras_oocore.sources.layout import X
from keras_oocore.store.format import UNPACKED, StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.tables.row_layout import IN_DAYS
from keras_oocore.tables.splits.base import PARTS, VALIDATION

FEATURE_DENSE = 'keras.layers.Dense(64, activation="relu")'
SCALE_ROWS = 10_000  # whose targets tell the scale of all
LONGEST_LINE = 80  # characters of a list of columns; a longer one has a line per column
TYPED_FILE = re.compile(r"(.+), [\d,]+ bytes, of [\d-]+ [\d:.]+ UTC")  # as a fingerprint describes it
DEFAULTS: dict[str, Any] = {
    **vars(Dialect()),
    "null_values": list(NULL_VALUES),
    "decimal": ".",
    "thousands": None,
    "strip": [],
    "on_bad_row": "error",
}


def table_code(
    path: str,
    arguments: Mapping[str, Any],
    num_features: int,
    target_is_class: bool,
    split: str,
    scale: tuple[float, float] | None = None,
    kind: str = "CSVChunkSequence",
) -> str:
    """Return code that trains a small model on the rows of a table.

    Args:
        path: Path or pattern of the files.
        arguments: Arguments of the Sequence.
        num_features: Number of features in a row of `x`.
        target_is_class: Whether the target is a column of strings.
        split: The line that splits `rows`, or `""` for too few rows. It names the parts `train`, and `val` or `test`.
        scale: Standard deviation and mean of a target of numbers, if they are known.
        kind: Class of the Sequence.
    """
    words = [f"{name}={_code(value)}" for name, value in arguments.items()]
    scaling = []
    if scale is not None:
        scaling = [f"    keras.layers.Rescaling({scale[0]}, offset={scale[1]}),  # the scale of the target"]
    outputs = Outputs("len(train.class_names)", num_classes=1) if target_is_class else Outputs("1")
    validation = "" if not split else f"validation_data={'val' if 'val' in split.partition('=')[0] else 'test'}, "
    return "\n".join(
        [
            IMPORTS,
            f"rows = ko.{kind}(",
            f"    {quoted(path)},",
            *(f"    {word}," for word in words),
            ")",
            split or "train = rows",
            "model = keras.Sequential([",
            f"    keras.Input(({num_features},)),",
            "    train.normalization(),",
            f"    {FEATURE_DENSE},",
            f"    {outputs.layer},",
            *scaling,
            "])",
            outputs.compile,
            f"model.fit(train, {validation}epochs=10)",
        ]
    )


def default_split(num_rows: int) -> str:
    """Return the line that splits `rows`, or `""` if one of the parts would be empty."""
    return split_code({"validation_split": SPLIT, "seed": SEED}) if int(SPLIT * num_rows) else ""


def split_code(part: Mapping[str, Any]) -> str:
    """Return the line that splits `rows`.

    Args:
        part: What determines the rows of a part, as the fingerprint of its cache has it.

    >>> split_code({"validation_split": None, "test_split": 0.1, "groups": ["patient"], "seed": 0, "part": "test"})
    'train, test = rows.split(test_split=0.1, groups=["patient"], seed=0)'
    """
    arguments = {name: part[name] for name in SPLIT_ARGUMENTS if part.get(name) is not None}
    if "at" in arguments:
        names = PARTS[1 : 1 + len(arguments["at"])]
    else:
        names = [name for name in PARTS if f"{name}_split" in arguments]
    parts = ", ".join(["train", *("val" if name == VALIDATION else name for name in names)])
    return f"{parts} = rows.split({', '.join(f'{name}={_code(value)}' for name, value in arguments.items())})"


def cached_code(store: str, cache: str) -> str:
    """Return code that trains from the cache of a table, or `""` if its options are not known.

    Args:
        store: Directory of a store.
        cache: Directory of the cache. It differs from `store` if each part has a store.
    """
    record = StoreRecord.load(Path(store))
    made_of = record.fingerprint
    is_csv = "dialect" in made_of
    columns = [(_column(*column), role) for *column, role in made_of["columns"]]
    if (
        len(made_of["files"]) != 1
        or not (is_csv or TYPED_FILE.fullmatch(made_of["files"][0]))  # data in memory, or a stream
        or (Path(cache) / UNPACKED).exists()
        or [name for name, *_ in made_of["inputs"]] != [None]
        or LEFT_OUT in made_of  # the numbers of the rows are not known
    ):
        return ""
    features, targets = ([column for column, role in columns if role == wanted] for wanted in ("feature", "target"))
    weights = [column.name for column, role in columns if role == "weight"]
    if len(targets) != 1:
        return ""
    cells = ("null_values", "decimal", "thousands", "strip", "on_bad_row")
    defaults = DEFAULTS if is_csv else {**DEFAULTS, "null_values": []}
    given = {**made_of.get("dialect", {}), **{name: made_of.get(name, defaults[name]) for name in cells}}
    arguments = {
        "target": targets[0].name,
        "features": [column.name for column in features],
        **({"sample_weight": weights[0]} if weights else {}),
        **_kinds(column for column, _ in columns),
        "missing": made_of["missing"],
        **({"indicator": True} if any(role == "missing" for _, role in columns) else {}),
        **{name: value for name, value in given.items() if value != defaults[name]},
        **({"num_rows": made_of["num_rows"]} if "num_rows" in made_of else {}),
        "cache": cache,
    }
    split = "" if made_of["part"] is None else split_code(made_of["part"])
    num_features = sum(role in ("feature", "missing") for _, role in columns)
    is_class = targets[0].kind == "string"
    place = [role for *_, role in made_of["columns"]].index("target")
    scale = None if is_class or not record.complete else _stored_scale(store, record, place)
    kind = "CSVChunkSequence" if is_csv else "TableSequence"
    return table_code(_found(made_of["files"][0], cache), arguments, num_features, is_class, split, scale, kind)


def rounded_scale(std: float, mean: float) -> tuple[float, float] | None:
    """Return standard deviation and mean of a target as code shows them, or `None` if it has no scale."""
    std, mean = (float(f"{value:.3g}") for value in (std, mean))
    return (std, mean) if np.isfinite([std, mean]).all() and std > 0 else None


def _stored_scale(store: str, record: StoreRecord, place: int) -> tuple[float, float] | None:
    """Return standard deviation and mean of one number of the first rows of a store, or `None` if it is damaged."""
    shape, dtype = record.fields[X]
    rows = np.empty((min(record.num_rows, SCALE_ROWS), *shape), dtype)
    try:
        PackedStore(store).read(X, np.arange(len(rows)), rows)
    except DataError:  # which `verify` describes
        return None
    values = rows[:, place].astype(np.float64)
    values = values[~np.isnan(values)]
    return rounded_scale(values.std(), values.mean()) if len(values) else None


def _column(name: str, position: int, kind: str, form: str | None, part: str = IN_DAYS) -> Column:
    """Return a column that a fingerprint describes."""
    return Column(name, position, kind, form, None if part == IN_DAYS else part)


def _kinds(columns: Iterable[Column]) -> dict[str, Any]:
    """Return the arguments that give columns the kinds that they have in a cache."""
    columns = list(columns)
    kinds = {column.name_in_file: column.format or column.kind for column in columns if column.kind != "float32"}
    dates = {}
    for column in dict.fromkeys(column for column in columns if column.part):
        dates.setdefault(column.name_in_file, []).append(column.part)
    return {**({"dtypes": kinds} if kinds else {}), **({"dates": dates} if dates else {})}


def _found(described: str, cache: str) -> str:
    """Return the path of a file that a fingerprint describes, which has its name and not its folder."""
    name = described.rsplit(", ", 2)[0]
    beside = os.path.join(os.path.dirname(os.path.normpath(cache)), name)
    return beside if not os.path.exists(name) and os.path.exists(beside) else name


def _code(value: Any) -> str:
    """Return a value as code."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | tuple):
        words = [_code(item) for item in value]
        if sum(map(len, words)) < LONGEST_LINE:
            return f"[{', '.join(words)}]"
        return "\n".join(["[", *(f"        {word}," for word in words), "    ]"])
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_code(name)}: {_code(item)}' for name, item in value.items())}}}"
    return "..." if value is ... else repr(value)
