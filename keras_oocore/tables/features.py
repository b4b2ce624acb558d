"""How typed cells become the rows that a model gets: features, targets and weights, codes for text, what is missing.

A row is a few 4-byte words, `float32` or the bits of an `int32`, so that one buffer, one order and one store serve all
columns; `parts` takes a batch of them apart again.
"""

import copy
import dataclasses
import numbers
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import listed
from keras_oocore.tables.csv.reader import Cells, Column, as_codes, is_missing
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.csv.values import LARGEST_FLOAT32, rounded_by_float32
from keras_oocore.tables.statistics import ColumnStatistics

MISSING_CODE, UNKNOWN_CODE, FIRST_CODE = 0, 1, 2  # as keras.layers.StringLookup counts with a mask token
DAY_STEP = 128  # seconds: the largest power of two of which a day is a multiple
POLICIES = ("error", "nan", "mean", "drop")


@dataclasses.dataclass(frozen=True)
class Word:
    """One word of a row.

    Attributes:
        column: whose cells it holds.
        role: `"feature"`, `"missing"` (1 where the feature's cell is missing), `"target"` or `"weight"`.
    """

    column: Column
    role: str

    @property
    def is_code(self) -> bool:
        """Whether it is an integer that stands for text."""
        return self.column.kind == "string" and self.role != "missing"


class FeatureSpec:
    """Makes rows of cells.

    Args:
        table: whose columns these are.
        target: name or names; `None` for rows without an answer.
        features: names; a dictionary of lists of names, for models of several inputs; `None` for all other columns.
        sample_weight: name of a column, or `None`.
        categorical: columns whose cells are names, also when they look like numbers.
        missing: `"error"`, `"nan"`, `"mean"`, `"drop"`, or `{column: value}`, where others raise.
        indicator: whether each feature that is a number is followed, at the end of its input, by one that is 1 where
            its cell is missing.

    Attributes:
        words: of a row.
        inputs: name of an input → `(first word, end, dtype)`; the one of a matrix is called `None`.
        means: column → what stands for a missing cell, once settled, with `missing="mean"`.
        vocabularies: column → texts in the order of their codes, once settled.
        columns: all that are read, each once.

    Raises:
        OptionError: for a column that does not exist or cannot be what it is wanted for.

    >>> import tempfile
    >>> from keras_oocore.tables.csv.scan import Dialect
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,price\\n1000,1\\n,2\\n")
    >>> table = CSVTable(path, Dialect())
    >>> recipe = FeatureSpec(table, "price", None, None, (), missing={"sqft": 500}, indicator=True)
    >>> rows = recipe.encode(table.read(table.reader(recipe.columns), chunk=0), where=str)
    >>> x, y, sample_weight = recipe.parts(rows)
    >>> x.tolist(), y.tolist()
    ([[1000.0, 0.0], [500.0, 1.0]], [1.0, 2.0])
    """

    def __init__(
        self,
        table: CSVTable,
        target: str | Sequence[str] | None,
        features: Sequence[str] | Mapping[str, Sequence[str]] | None,
        sample_weight: str | None,
        categorical: Sequence[str],
        missing: str | Mapping[str, float],
        indicator: bool,
    ):
        self._kinds = {
            table.column(name, "categorical").name: "string" for name in _as_names(categorical, "categorical")
        }
        self._table = table
        if not isinstance(indicator, bool):
            raise OptionError(
                f"`indicator` should be True or False, for all numbers. Received: indicator={indicator!r}"
            )
        self.targets = [] if target is None else _as_names(target, "target")
        self.one_target = isinstance(target, str)
        self.missing = self._checked_missing(missing)
        used = {self._column(name, "target").name for name in self.targets}
        if sample_weight is not None:
            used.add(self._numbers(sample_weight, "sample_weight").name)
        if features is None:
            features = [name for name in table.columns if name not in used]
            self._require_no_text(features)
        inputs = features if isinstance(features, Mapping) else {None: features}
        if not inputs:
            raise OptionError("`features` should name at least one input. Received: an empty dictionary")
        self.words, self.inputs = [], {}
        for name, columns in inputs.items():
            self.inputs[name] = self._add_input(_as_names(columns, "features"), indicator)
        self._warn_of_leak()
        self.first_target = len(self.words)
        self.words += [Word(self._column(name, "target"), "target") for name in self.targets]
        if target is not None:
            self._require_targets_of_one_kind()
        elif sample_weight is not None:
            raise OptionError("`sample_weight` wants a `target`. Received: target=None")
        self.has_weight = sample_weight is not None
        if self.has_weight:
            self.words.append(Word(self._numbers(sample_weight, "sample_weight"), "weight"))
        self.columns = list({word.column.name: word.column for word in self.words}.values())
        self.means, self.vocabularies = {}, {}
        self._rounded = set()  # columns with integers that float32 rounds, of which was warned
        self._warn_of_notes()

    @property
    def waits_for_statistics(self) -> bool:
        """Whether means or codes are still to be settled, which needs every row."""
        texts = {word.column.name for word in self.words if word.is_code}
        wants_mean = self.missing == "mean" and any(w.role == "feature" and not w.is_code for w in self.words)
        return bool(texts - set(self.vocabularies)) or (wants_mean and not self.means)

    def unsettled(self) -> "FeatureSpec":
        """The same recipe, which knows no means and codes yet."""
        recipe = copy.copy(self)
        recipe.means, recipe.vocabularies = {}, {}
        return recipe

    def learn(self, found: Mapping[str, ColumnStatistics]) -> None:
        """Settle means and codes as these rows have them.

        Raises:
            DataError: when a column whose mean is wanted has no number at all.
        """
        features = {word.column.name for word in self.words if word.role == "feature" and not word.is_code}
        empty = [name for name in features if not found[name].count]
        if self.missing == "mean" and empty:
            first, *others = self._table.paths
            raise DataError(
                f"{first}{f' and {len(others)} more' * bool(others)}: columns have no number that a mean could be "
                f"taken of: {listed(sorted(empty))}. Fix: features=[...] without them, or missing='nan'."
            )
        self.settle(
            {name: found[name].mean for name in sorted(features)} if self.missing == "mean" else {},
            {word.column.name: found[word.column.name].by_frequency for word in self.words if word.is_code},
        )

    def settle(self, means: Mapping[str, float], vocabularies: Mapping[str, Sequence[str]]) -> None:
        """Fix what stands for missing cells, and the code of each text (most frequent first)."""
        self.means = dict(means)
        roles = {word.column.name: word.role for word in self.words if word.is_code}
        self.vocabularies = {
            name: _sorted_classes(vocabularies[name]) if role == "target" else list(vocabularies[name])
            for name, role in roles.items()
        }

    def counts(self, cells: Cells) -> np.ndarray | None:
        """Which rows count, `bool` of shape `(n,)`; `None` for all: with `missing="drop"`, those without a gap."""
        if self.missing != "drop":
            return None
        return ~np.logical_or.reduce([is_missing(cells.columns[column.name]) for column in self.columns])

    def encode(self, cells: Cells, where: Callable[[int], str]) -> np.ndarray:
        """Rows `(n, words)`, `float32`.

        Args:
            cells: of a chunk.
            where: number of a row in the chunk → how messages name it.

        Raises:
            DataError: for a missing cell that nothing stands for, or a target that is no class.
        """
        absent = {column.name: is_missing(cells.columns[column.name]) for column in self.columns}
        self._require_present(absent, cells, where)
        rows = np.empty((len(cells.rows), len(self.words)), np.float32)
        for i, word in enumerate(self.words):
            out, gaps = rows[:, i], absent[word.column.name]
            if word.role == "missing":
                out[...] = gaps
            elif word.is_code:
                codes = self._codes(word, cells, gaps, where)
                (rows.view(np.int32)[:, i] if self._has_bits(i) else out)[...] = codes
            else:
                values = cells.columns[word.column.name].to_numpy(zero_copy_only=False)
                self._warn_of_rounding(word.column, values)
                out[...] = values
                if gaps.any():
                    out[gaps] = self._fill(word)
        return rows

    def parts(self, rows: np.ndarray) -> tuple:
        """`(x, y, sample_weight)` of rows: views of them. Targets and weights are `None` where there are none.

        `x` is `float32` `(batch, features)`, or a dictionary of such, `int32` where all of an input are codes. `y` is
        `float32`, or the `int32` index of a class, of shape `(batch,)` for one target and `(batch, targets)` otherwise.
        """
        inputs = {name: rows[:, first:end].view(dtype) for name, (first, end, dtype) in self.inputs.items()}
        x = inputs.get(None, inputs)
        end = self.first_target + len(self.targets)
        if not self.targets:
            return x, None, None
        y = rows[:, self.first_target : end]
        if self.words[self.first_target].is_code:
            y = y.view(np.int32)
        return x, y[:, 0] if self.one_target else y, rows[:, end] if self.has_weight else None

    def _add_input(self, names: list[str], indicator: bool) -> tuple[int, int, type]:
        first = len(self.words)
        columns = [self._column(name, "features") for name in names]
        if not columns:
            raise OptionError("`features` should name at least one column of each input. Received: none")
        self.words += [Word(column, "feature") for column in columns]
        if indicator:
            self.words += [Word(column, "missing") for column in columns if column.kind != "string"]
        words = self.words[first:]
        return first, len(self.words), np.int32 if all(word.is_code for word in words) else np.float32

    def _has_bits(self, i: int) -> bool:
        """Whether word `i` holds the bits of an integer."""
        if i >= self.first_target:
            return True
        return next(dtype for first, end, dtype in self.inputs.values() if first <= i < end) is np.int32

    def _column(self, name: str, argument: str) -> Column:
        column = self._table.column(name, argument)
        return dataclasses.replace(column, kind=self._kinds.get(name, column.kind))

    def _warn_of_leak(self) -> None:
        """Say that the answer is among the questions, unless it is all of them, as an autoencoder has it."""
        features = [word.column.name for word in self.words if word.role == "feature"]
        leaked = [name for name in features if name in self.targets]
        if leaked and set(features) != set(self.targets):
            warnings.warn(f"`features` names the target, {listed(leaked)}: the model is told the answer.", stacklevel=4)

    def _require_targets_of_one_kind(self) -> None:
        texts = [word.is_code for word in self.words[self.first_target :]]
        if not texts:
            raise OptionError("`target` should name at least one column. Received: none")
        if any(texts) and not all(texts):
            kinds = {word.column.name: word.column.kind for word in self.words[self.first_target :]}
            raise OptionError(f"Several targets should all be text, or all numbers. Received: {kinds}")

    def _numbers(self, name: str, argument: str) -> Column:
        if not isinstance(name, str):
            raise OptionError(f"`{argument}` should be the name of a column. Received: {name!r}")
        column = self._column(name, argument)
        if column.kind == "string":
            raise OptionError(f"`{argument}` should be a column of numbers. Received: {name!r}, which holds text")
        return column

    def _require_no_text(self, names: list[str]) -> None:
        texts = [name for name in names if self._column(name, "features").kind == "string" and name not in self._kinds]
        if texts:
            raise OptionError(
                f"Columns hold text: {listed(texts)}. Say which columns are features, features=[...]; or "
                f"give text codes, categorical=[{texts[0]!r}]; or a date's format, dtypes={{{texts[0]!r}: '%Y-%m-%d'}}."
            )

    def _checked_missing(self, missing) -> str | dict:
        if isinstance(missing, Mapping):
            for name, value in missing.items():
                is_number = isinstance(value, numbers.Real) and (not abs(value) > LARGEST_FLOAT32 or np.isinf(value))
                if not is_number or self._column(name, "missing").kind == "string":
                    raise OptionError(
                        "`missing` should give numbers that float32 holds, for columns that are not text. "
                        f"Received: missing={{{name!r}: {value!r}}}"
                    )
            return {name: float(value) for name, value in missing.items()}
        if missing not in POLICIES:
            raise OptionError(
                f"`missing` should be one of {POLICIES}, or {{column: value}}. Received: missing={missing!r}"
            )
        return missing

    def _fill(self, word: Word) -> float | None:
        """What stands for a missing cell; `None` where nothing does."""
        if word.is_code:
            return None if word.role == "target" else MISSING_CODE
        if isinstance(self.missing, Mapping):
            return self.missing.get(word.column.name)
        if word.role != "feature":
            return None
        return {"nan": np.nan, "mean": self.means.get(word.column.name)}.get(self.missing)

    def _codes(self, word: Word, cells: Cells, absent: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
        column = word.column
        codes = as_codes(cells.columns[column.name], self.vocabularies[column.name])  # -1 where it is none of them
        if word.role != "target":
            return np.where(absent, MISSING_CODE, np.where(codes < 0, UNKNOWN_CODE, codes + FIRST_CODE))
        unknown = int(np.argmax(codes < 0))
        if len(codes) and codes[unknown] < 0:
            text = cells.columns[column.name][unknown].as_py()
            raise DataError(
                f"{where(int(cells.rows[unknown]))}, column {column.name!r} (#{column.position}): {text!r} is none of "
                f"the {len(self.vocabularies[column.name])} classes that the training rows have. "
                "Fix: split with another seed, so that training sees it, or leave out its rows."
            )
        return codes

    def _warn_of_rounding(self, column: Column, values: np.ndarray) -> None:
        """Say once of a column that a row holds an integer which `float32` rounds, where the samples had none."""
        rounded = None if column.name in self._rounded else rounded_by_float32(values)
        if rounded is None:
            return
        self._rounded.add(column.name)
        if column.kind == "date":
            step = int(np.spacing(np.float32(abs(rounded))))
            what, exact = ("times of day", " Days stay exact.") if step <= DAY_STEP else ("dates", "")
            warnings.warn(
                f"Column {column.name!r} has {what}, which float32 rounds: seconds since 1970 come in steps of "
                f"{step}.{exact}",
                stacklevel=2,
            )
        else:
            _warn_of_loss(column.name, f"integers beyond 2^24, which float32 rounds, such as {rounded:.0f}")

    def _require_present(self, absent: Mapping[str, np.ndarray], cells: Cells, where: Callable[[int], str]) -> None:
        """Raise for the first row with a missing cell that nothing stands for."""
        gaps = [
            (int(np.argmax(absent[word.column.name])), word.column.position, word)
            for word in self.words
            if word.role != "missing" and absent[word.column.name].any() and self._fill(word) is None
        ]
        if not gaps:
            return
        row, _, word = min(gaps, key=lambda gap: gap[:2])
        counts = ", ".join(f"{name!r}: {int(mask.sum())}" for name, mask in absent.items() if mask.any())
        remedies = "missing='mean', 'nan', 'drop' or {column: value}" if word.role == "feature" else "missing='drop'"
        raise DataError(
            f"{where(int(cells.rows[row]))}, column {word.column.name!r} (#{word.column.position}): "
            f"the cell is missing. Missing in this part of the file: {counts}. Fix: {remedies}."
        )

    def _warn_of_notes(self) -> None:
        for column in {word.column.name: word.column for word in self.words}.values():
            for note in self._table.notes.get(column.name, ()):
                if column.kind == "float32":
                    _warn_of_loss(column.name, note)
                    if "2^24" in note:
                        self._rounded.add(column.name)
                elif column.name not in self._kinds:
                    warnings.warn(f"Column {column.name!r} is {note}, or categorical=[{column.name!r}].", stacklevel=4)


def _sorted_classes(texts: Sequence[str]) -> list[str]:
    """Classes in the order of their indices: by number where all are numbers, else by the alphabet.

    >>> _sorted_classes(["10", "9"]), _sorted_classes(["10", "9", "b"])
    (['9', '10'], ['10', '9', 'b'])
    """
    try:
        return sorted(texts, key=lambda text: (float(text), text))
    except ValueError:
        return sorted(texts)


def _warn_of_loss(name: str, loss: str) -> None:
    warnings.warn(f"Column {name!r} has {loss}. If they are names and no amounts: categorical=[{name!r}]", stacklevel=5)


def _as_names(names: str | Sequence[str], argument: str) -> list[str]:
    if isinstance(names, str):
        return [names]
    several = list(names) if isinstance(names, Iterable) else [names]  # a DataFrame's `columns` too
    if not all(isinstance(name, str) for name in several):
        raise OptionError(f"`{argument}` should be the name of a column, or a list of names. Received: {names!r}")
    return several
