"""The metrics of an epoch that several processes train: those of all rows, and the part of one process.

Each process of torch counts the rows of its own shard (Keras 3.15.1; 3.16 adds up copies for the logs). A checkpoint
has the metrics of all rows, so that any number of processes can resume: each starts with an equal part of them. On JAX,
every process has the metrics of all rows.
"""

import keras
import numpy as np

from keras_oocore.training.processes import PIECE_BYTES, Processes


def metrics_of_all(model: keras.Model, processes: Processes) -> list[np.ndarray] | None:
    """Return the values of the model's metrics for the rows of all processes, or `None` if this process has them.

    All processes must call this. A variable that is a mean, or the same in all processes, says so when its metric adds
    it: `add_variable(..., aggregation="mean")`. It becomes the mean, or that of process 0.
    """
    if not _are_of_shard(processes):
        return None
    return [
        _joined(np.array(keras.ops.convert_to_numpy(variable)), _aggregation(variable), processes)
        for variable in model.metrics_variables
    ]


def keep_own_part(model: keras.Model, processes: Processes) -> None:
    """Replace metrics of all rows by the part of this process. The parts of all processes add up to them."""
    if not _are_of_shard(processes):
        return
    for variable in model.metrics_variables:
        if _aggregation(variable) == "sum":
            value = keras.ops.convert_to_numpy(variable)
            variable.assign(own_part(value, processes.index, processes.count).astype(value.dtype))


def own_part(total: np.ndarray, index: int, count: int) -> np.ndarray:
    """Return the part number `index` of `count` equal parts of numbers. Integers are divided without a rest.

    >>> own_part(np.array([7, -7]), 0, 2), own_part(np.array([7, -7]), 1, 2), own_part(np.array([7.0]), 1, 2)
    (array([ 4, -3]), array([ 3, -4]), array([3.5]))
    """
    if np.issubdtype(total.dtype, np.integer):
        return total // count + (index < total % count)
    return total / count


def _joined(own: np.ndarray, aggregation: str, processes: Processes) -> np.ndarray:
    """Return one array from those of all processes."""
    flat, joined = own.ravel(), np.empty(own.size, own.dtype)
    step = max(1, PIECE_BYTES // (own.itemsize * processes.count))  # a matrix of 1,000 classes is large, 1,000 times
    for start in range(0, own.size, step):
        rows = processes.gathered_array(flat[start : start + step])
        joined[start : start + step] = _of_all(rows, aggregation)
    return joined.reshape(own.shape)


def _of_all(rows: np.ndarray, aggregation: str) -> np.ndarray:
    """Return one row from those of all processes."""
    if aggregation not in ("sum", "mean"):
        return rows[0]
    exact = rows if np.issubdtype(rows.dtype, np.integer) else rows.astype(np.float64)
    return exact.sum(axis=0) if aggregation == "sum" else exact.mean(axis=0)


def _aggregation(variable: object) -> str:
    return getattr(variable, "aggregation", None) or "sum"  # Keras before 3.8 has no such attribute


def _are_of_shard(processes: Processes) -> bool:
    """Whether the metrics of this process are those of its own shard."""
    return processes.count > 1 and keras.backend.backend() == "torch"
