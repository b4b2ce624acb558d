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
from keras_oocore.core.threads import Call, ThreadPool
from keras_oocore.core.warn import warn_user
from keras_oocore.predictions.groups import Rows, chosen_columns, joined
from keras_oocore.predictions.parts import Parts
from keras_oocore.predictions.predictor import Predictor
from keras_oocore.sequences.in_order import InOrder

PART_SECONDS = 10.0  # of predictions that a kill may lose
PART_SHARE = 1 / 500  # of the file, which is in memory
PART_BYTES = (2**16, 2**24)  # the smallest and the largest limit of a part


class Written(NamedTuple):
    """A file of predictions.

    Attributes:
        path: The file.
        num_rows: Number of its rows.
        num_bad: Number of rows without predictions, which could not be read.
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
        predictor.warn_of_uncounted()
        parts.remove()
    num_left_out = 0 if data.rows.has_files else parts.num_bad
    return Written(path, data.num_samples + num_left_out, parts.num_bad, layout.names)


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
    """Predict the batches that are in no part. A thread writes them as parts meanwhile."""
    with ThreadPool(1, "keras_oocore-writer") as thread:
        waiting = _Waiting(parts, kind, data, thread)
        try:
            for rows in predictor.rows(parts.num_batches):
                waiting.add(rows.select(chosen))
            waiting.finish()
        except BaseException as error:  # such as Ctrl-C
            thread.shutdown()
            if not isinstance(error, DestinationError):
                with contextlib.suppress(OutOfCoreError):  # the first error matters more
                    waiting.write_rest()
            raise


class _Waiting:
    """The rows that are predicted, and in no part yet. A thread writes a part while the rows of the next one come."""

    def __init__(self, parts: Parts, kind: Any, data: InOrder, thread: ThreadPool):
        self._parts, self._kind, self._data, self._thread = parts, kind, data, thread
        self._batches: list[tuple[int, Rows]] = []
        self._next = parts.num_batches
        self._call: Call | None = None
        self._limit = 0
        self._num_bytes, self._since = 0, time.monotonic()

    def add(self, rows: Rows) -> None:
        """Add the rows of a batch, and let the thread write a part if it is time.

        Raises:
            DestinationError: If an earlier part could not be written.
        """
        self._batches.append((self._next, rows))
        self._next += 1
        self._num_bytes += rows.num_bytes
        if not self._limit:
            file_bytes = self._num_bytes / len(rows.readable) * self._data.num_samples
            self._limit = int(np.clip(file_bytes * PART_SHARE, *PART_BYTES))
        if self._num_bytes >= self._limit or time.monotonic() - self._since >= PART_SECONDS:
            self._await()
            self._call = self._thread.submit(self._write, self._batches.copy())
            self._num_bytes, self._since = 0, time.monotonic()
        elif self._call is not None and self._call.is_done:
            self._await()

    def finish(self) -> None:
        """Write all rows.

        Raises:
            DestinationError: If a part could not be written.
        """
        self._await()
        self.write_rest()

    def write_rest(self) -> None:
        """Write the rows that are in no part, while the thread writes none."""
        self._forget_written()
        if self._batches:
            self._write(self._batches)

    def _await(self) -> None:
        """Wait until the thread has written its part, or raise its error."""
        call, self._call = self._call, None
        if call is not None:
            call.result()
        self._forget_written()

    def _forget_written(self) -> None:
        self._batches = [batch for batch in self._batches if batch[0] >= self._parts.num_batches]

    def _write(self, batches: list[tuple[int, Rows]]) -> None:
        """Write a part."""
        rows = joined([rows for _, rows in batches])
        num_bad = int((~rows.readable).sum())
        self._parts.add(self._kind.encode(rows), batches[-1][0] + 1, num_bad, self._data.version)
