"""Predictions that are written to a file while the model predicts, and continue after a kill."""

import contextlib
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_oocore.core.errors import DestinationError, OutOfCoreError
from keras_oocore.core.locks import write_lock
from keras_oocore.core.temporary import remove_leftovers
from keras_oocore.core.warn import warn_user
from keras_oocore.predictions.groups import Rows, chosen_columns
from keras_oocore.predictions.parts import Parts
from keras_oocore.predictions.predictor import Predictor
from keras_oocore.sequences.in_order import InOrder

PART_SECONDS = 10.0  # of predictions that a kill may lose
PART_SHARE = 1 / 200  # of the file, which is in memory
PART_BYTES = (2**16, 2**24)  # the smallest and the largest limit of a part


class Written(NamedTuple):
    """A file of predictions.

    Attributes:
        path: The file.
        num_rows: Number of its rows.
        num_bad: Number of rows without predictions, whose files could not be read.
        columns: Names of its columns.
    """

    path: Path
    num_rows: int
    num_bad: int
    columns: list[str]


def predict_into(
    path: Path,
    kind: Any,
    model: Any,
    data: InOrder,
    columns: Mapping[str, str] | Sequence[str] | None,
    class_names: Any,
    activation: str | None,
) -> Written:
    """Predict all samples, and write them to a file. Arguments and errors are those of `ko.predict`.

    Args:
        path: The file.
        kind: Its format, as `format_of` returned it.
        model: The model.
        data: The samples.
        columns: The argument of the user.
        class_names: The argument of the user.
        activation: The argument of the user.
    """
    if path.is_dir():
        raise DestinationError(f"{os.fspath(path)!r} is a folder. Type the path of a file.")
    folder = path.with_name(f"{path.name}.parts")
    with write_lock(folder):
        remove_leftovers(folder)
        remove_leftovers(path.parent)
        predictor = Predictor(model, data, class_names, activation, columns)
        first = predictor.first_rows
        chosen = chosen_columns(columns, predictor.all_columns) or {name: name for name in first.names}
        layout = first.select(chosen)
        parts = Parts(folder, kind.part_suffix)
        different = parts.open(_described(model, data, predictor, chosen), data.version)
        _tell(path, parts, different, data)
        _predict_rest(parts, kind, predictor, data, chosen)
        kind.join(path, [part.path for part in parts.parts], layout, data.num_samples)
        predictor.warn_of_bad(parts.num_bad)
        parts.remove()
    return Written(path, data.num_samples, parts.num_bad, layout.names)


def _described(model: Any, data: InOrder, predictor: Predictor, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return what determines the bytes of the file, as plain JSON."""
    return {
        "weights of the model": f"CRC-32 {checksum_of_weights(model):08x}",
        **data.fingerprint(),
        "columns": [[name, new] for name, new in chosen.items()],
        "outputs": [[output.name, output.kind, output.activation] for output in predictor.outputs],
        "class names": [list(output.names) for output in predictor.outputs],
        "first predictions": predictor.first_values,
    }


def checksum_of_weights(model: Any) -> int:
    """Return a CRC-32 of the weights of a model, in their order."""
    checksum = 0
    for weight in getattr(model, "weights", ()):
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        checksum = zlib.crc32(repr(values.shape).encode(), checksum)
        checksum = zlib.crc32(values.reshape(-1).view(np.uint8), checksum)
    return checksum


def _tell(path: Path, parts: Parts, different: list[str], data: InOrder) -> None:
    """Say what is used of an earlier run, and what is not."""
    done = min(parts.num_batches * data.batch_size, data.num_samples)
    if different:
        rest = f"It continues after row {done:,}." if done else "It starts over."
        warn_user(f"{os.fspath(path)!r}: not all that was predicted before can be used: {'; '.join(different)}. {rest}")
    elif done:
        print(f"{os.fspath(path)}: {done:,} of {data.num_samples:,} rows were predicted before.", flush=True)


def _predict_rest(parts: Parts, kind: Any, predictor: Predictor, data: InOrder, chosen: Mapping[str, str]) -> None:
    """Predict the batches that are in no part, and write them as parts."""
    waiting = _Waiting(parts, kind, data)
    try:
        for rows in predictor.rows(parts.num_batches):
            waiting.add(rows.select(chosen))
        waiting.write()
    except OutOfCoreError as error:
        if not isinstance(error, DestinationError):
            waiting.write_if_possible()
        raise
    except BaseException:  # such as Ctrl-C
        waiting.write_if_possible()
        raise


class _Waiting:
    """The rows that are predicted, and in no part yet."""

    def __init__(self, parts: Parts, kind: Any, data: InOrder):
        self._parts, self._kind, self._data = parts, kind, data
        self._stop = parts.num_batches
        self._limit = 0
        self._clear()

    def _clear(self) -> None:
        self._part, self._num_bad, self._since = self._kind.part(), 0, time.monotonic()

    def add(self, rows: Rows) -> None:
        """Add the rows of a batch, and write a part if it is time."""
        self._part.add(rows)
        self._num_bad += int((~rows.readable).sum())
        self._stop += 1
        if not self._limit:
            file_bytes = self._part.num_bytes / len(rows.readable) * self._data.num_samples
            self._limit = int(np.clip(file_bytes * PART_SHARE, *PART_BYTES))
        if self._part.num_bytes >= self._limit or time.monotonic() - self._since >= PART_SECONDS:
            self.write()

    def write(self) -> None:
        """Write a part, unless there are no rows."""
        if self._stop > self._parts.num_batches:
            self._parts.add(self._part.content(), self._stop, self._num_bad, self._data.version)
            self._clear()

    def write_if_possible(self) -> None:
        """Write a part during another error, which matters more than an error here."""
        with contextlib.suppress(OutOfCoreError):
            self.write()
