"""Predicts the batches of a Sequence in their order, and gives each row its names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.text import and_more
from keras_oocore.core.warn import warn_user
from keras_oocore.predictions.between import Between
from keras_oocore.predictions.groups import Group, Rows
from keras_oocore.predictions.outputs import Output, named_outputs, outputs_of, warn_of_doubts
from keras_oocore.sequences.in_order import InOrder, LeftOut, ReadBatch
from keras_oocore.sequences.row_names import strings

SHOWN_BAD = 3  # rows that cannot be read, which a warning names
FIRST_VALUES = 1000  # of the first prediction, which tell whether another run has the same model and data


class Predictor:
    """A model and the samples that it predicts.

    Args:
        model: A Keras model.
        data: The samples.
        class_names: The argument of the user.
        activation: The argument of the user.
        wanted: Names of the columns that are asked for, or `None` for the usual ones.

    Attributes:
        outputs: What each output of the model means.
        bad: Name of a sample → why it cannot be read, for the first ones.
        num_bad: Number of samples that could not be read.

    Raises:
        SampleError: If no sample can be read.
        OptionError: If an argument does not fit the outputs of the model.
    """

    def __init__(
        self,
        model: Any,
        data: InOrder,
        class_names: Any = None,
        activation: str | None = None,
        wanted: Sequence[str] | None = None,
    ):
        self._model, self._data = model, data
        self._probed: dict[int, tuple[ReadBatch, dict[str, np.ndarray]]] = {}
        found = self._probe()
        rows = data.rows
        self.outputs: list[Output] = outputs_of(
            found, class_names, rows.class_names, rows.targets, rows.several_labels, activation
        )
        self._others = self._wanted_others(wanted)
        self._has_warned = False
        self.num_bad: int = 0
        self.bad: dict[str, str] = {}
        self._first = {name: values.ravel()[:FIRST_VALUES].tolist() for name, values in found.items()}

    @property
    def first_values(self) -> dict[str, list[float]]:
        """The first values that each output has for the first batch."""
        return self._first

    def _probe(self) -> dict[str, np.ndarray]:
        """Predict the first batch that can be read, which shows what the model returns."""
        for position in range(self._data.num_batches):
            read = self._data.read(position)
            found = self._predicted(read)
            self._probed[position] = read, found
            if found:
                _warn_of_other_shape(self._model, keras.utils.unpack_x_y_sample_weight(read.batch)[0])
                return found
            first = next(iter(read.errors.values()))
        name = self._data.source.name(int(self._data.samples(0, 1)[0]))
        raise SampleError(f"No sample can be read. The last error: {first}. The first sample is {name!r}.")

    def _predicted(self, read: ReadBatch) -> dict[str, np.ndarray]:
        """Return what the model returns for a batch, by output, or `{}` if no sample could be read."""
        if read.batch is None:
            return {}
        x, _, _ = keras.utils.unpack_x_y_sample_weight(read.batch)
        found = named_outputs(self._model.predict_on_batch(x), self._model)
        strategy = getattr(self._model, "distribute_strategy", None)
        if (num_replicas := getattr(strategy, "num_replicas_in_sync", 1)) > 1:  # each predicts all rows (3.15.1)
            found = {name: values[: len(values) // num_replicas] for name, values in found.items()}
        num_readable = int(read.readable.sum())
        if wrong := [len(values) for values in found.values() if len(values) != num_readable]:
            raise DataError(
                f"The model returned {wrong[0]:,} rows for {num_readable:,} samples, so they cannot be told apart. "
                "Does a `transform` or a layer change the number of samples?"
            )
        return found

    def rows(self, start: int) -> Iterator[Rows]:
        """Predict the batches from `start` on, with a progress bar.

        Yields:
            The rows of a batch, also those of samples that cannot be read.
        """
        data = self._data
        done = min(start * data.batch_size, data.num_samples)
        with tqdm(
            total=data.num_samples, initial=done, unit=" rows", desc="predicting", delay=QUIET_SECONDS, leave=False
        ) as bar:
            for position in range(start, data.num_batches):
                if position in self._probed:
                    read, found = self._probed.pop(position)
                else:
                    read = data.read(position)
                    found = self._predicted(read)
                yield self._named(read, found)
                bar.update(len(read.samples))

    def warn_of_bad(self, number: int) -> None:
        """Warn of samples that could not be read.

        Args:
            number: Their number, also in rows that an earlier run predicted.
        """
        if not number:
            return
        named = "; ".join(f"{name!r}: {reason}" for name, reason in self.bad.items())
        if self._data.rows.has_files:
            many = f"{number:,} files cannot be read, and their rows have"
            found = "1 file cannot be read, and its row has" if number == 1 else many
        else:
            found = "1 row is left out, and has" if number == 1 else f"{number:,} rows are left out, and have"
        more = f" ({named}{'; ...' if number > len(self.bad) else ''})" if named else ""
        warn_user(f"{found} no prediction{more}. The column `error` has the reasons.")

    def warn_of_uncounted(self) -> None:
        """Warn of rows that are in no row of the predictions, because they cannot be parsed."""
        number, first = self._data.rows.num_uncounted, self._data.rows.uncounted
        if number:
            named = "; ".join(f"{name!r}: {reason}" for name, reason in first) + and_more(number, len(first))
            one = "1 row is not in the predictions", "It has no row number. Fix the file to predict it."
            several = (
                f"{number:,} rows are not in the predictions",
                "They have no row numbers. Fix the file to predict them.",
            )
            found, fix = one if number == 1 else several
            warn_user(f"{found}, because of a quote ({named}). {fix}")

    @property
    def first_rows(self) -> Rows:
        """The rows of the first batch that could be read, which have all columns. Ask for them before `rows`."""
        read, found = next(batch for batch in self._probed.values() if batch[1])
        return self._named(read, found, count=False)

    @property
    def all_columns(self) -> list[str]:
        """Names of all columns, also of those that are only made if a user asks for them."""
        others = self._data.rows.others(self._data.samples(0, 1))
        return list(dict.fromkeys([*self.first_rows.names, *others]))

    def _wanted_others(self, wanted: Sequence[str] | None) -> list[str]:
        first, rows = self._data.samples(0, 1), self._data.rows
        ids = rows.columns(first)
        return [name for name in rows.others(first) if name in (wanted or ()) and name not in ids]

    def _named(self, read: ReadBatch, found: Mapping[str, np.ndarray], count: bool = True) -> Rows:
        """Return the rows of a batch."""
        rows, left_out = self._data.rows, None
        if rows.left_out is not None:
            left_out = rows.left_out(int(read.samples[0]), int(read.samples[-1]) + 1)
        between = Between(read, left_out)
        y = keras.utils.unpack_x_y_sample_weight(read.batch)[1] if read.batch is not None else None
        named = [Group((name,), values) for name, values in between.columns(rows.columns(read.samples)).items()]
        groups = []
        if self._others:
            others = between.columns(rows.others(read.samples))
            groups += [Group((name,), others[name]) for name in self._others]
        labels = between.labels(rows.labels(read.samples, y))
        groups += [Group((name,), self._in_words(values)) for name, values in labels.items()]
        values = [self._values(output, found.get(output.name), between.readable) for output in self.outputs]
        if count and not self._has_warned:
            self._has_warned = warn_of_doubts(self.outputs, [array[between.readable] for array in values])
        groups += [group for output, array in zip(self.outputs, values) for group in output.top(array)]
        if rows.may_have_errors:
            reasons = (between.errors.get(row, "") for row in range(len(between.readable)))
            groups.append(Group(("error",), strings(reasons)))
            if count:
                self._count_bad(read, left_out)
        groups = [*_with_free_names(named, {name for group in groups for name in group.names}), *groups]
        taken = {name for group in groups for name in group.names}
        for output, array in zip(self.outputs, values):
            groups.append(Group(_free_names(output, taken), array if array.shape[1] > 1 else array[:, 0], True))
        return Rows(groups, between.readable)

    def _values(self, output: Output, values: np.ndarray | None, readable: np.ndarray) -> np.ndarray:
        """Return the values of an output for all rows: NaN for those that could not be read."""
        if values is not None:
            values = output.probabilities(values)
            if readable.all():
                return values
        dtype = np.float32 if values is None else values.dtype
        full = np.full((len(readable), len(output.names)), np.nan, dtype)
        if values is not None:
            full[readable] = values
        return full

    def _in_words(self, labels: np.ndarray) -> np.ndarray:
        """Return indices of classes as their names. Other labels stay."""
        if labels.dtype != np.int64:
            return labels
        names = self._data.rows.class_names
        if names is None and len(self.outputs) == 1 and self.outputs[0].kind != "numbers":
            names = self.outputs[0].names
        if names is None:
            return labels
        known = (labels >= 0) & (labels < len(names))
        return np.array([*names, None], object)[np.where(known, labels, len(names))]

    def _count_bad(self, read: ReadBatch, left_out: LeftOut | None) -> None:
        found = [(self._data.source.name(int(read.samples[row])), reason) for row, reason in read.errors.items()]
        if left_out is not None:
            found += zip(left_out.names, left_out.reasons)
        self.num_bad += len(found)
        self.bad.update(found[: max(0, SHOWN_BAD - len(self.bad))])


def _with_free_names(ids: list[Group], taken: set[str]) -> list[Group]:
    """Return the columns that name the rows. An id whose name is that of another column has a longer name."""
    return [group._replace(names=tuple(f"ids/{n}" if n in taken else n for n in group.names)) for group in ids]


def _free_names(output: Output, taken: set[str]) -> tuple[str, ...]:
    """Return the names of the columns of an output. A class whose name is that of another column has a longer name."""
    names = [f"{output.prefix}{name}" for name in output.names]
    free = "prediction" if output.kind == "numbers" else "probability"
    names = [f"{output.prefix}{free}/{own}" if name in taken else name for name, own in zip(names, output.names)]
    taken.update(names)
    return tuple(names)


def _warn_of_other_shape(model: Any, x: Any) -> None:
    """Warn if samples have another shape than the input of the model, which Keras accepts if its layers can."""
    inputs, found = getattr(model, "inputs", None), tuple(getattr(x, "shape", ()))[1:]
    if not isinstance(inputs, list) or len(inputs) != 1:
        return
    expected = tuple(inputs[0].shape)[1:]
    if len(expected) == len(found) and any(size not in (None, other) for size, other in zip(expected, found)):
        fix = f" Pass image_size={expected[:2]} to the Sequence." if len(expected) == 3 and None not in expected else ""
        warn_user(
            f"The model was built for samples of shape {expected}, and these have shape {found}, so its predictions "
            f"may be wrong.{fix}"
        )
