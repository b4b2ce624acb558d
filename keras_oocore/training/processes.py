"""The processes of one training: which one this is, and what they tell each other.

They talk through the engine that adds their gradients, so a process that dies ends the others instead of letting them
wait. Every method is called in the main thread, by all processes, in the same order.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.dtypes import dtype_name, named_dtype

PIECE_BYTES = 1 << 22  # sent at a time


class Engine(Protocol):
    """What connects the processes."""

    index: int
    count: int

    def gathered(self, row: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, `uint8` of shape `(count, len(row))`."""

    def from_first(self, row: np.ndarray) -> np.ndarray:
        """Return the row of process 0. The rows of all processes have the same length."""


class TorchEngine:
    """`torch.distributed`."""

    def __init__(self):
        self._torch = sys.modules["torch"]
        self.index: int = self._torch.distributed.get_rank()
        self.count: int = self._torch.distributed.get_world_size()
        on_gpu = self._torch.distributed.get_backend() == "nccl"  # which has no collectives for the CPU
        self._device = "cuda" if on_gpu else "cpu"

    def gathered(self, row: np.ndarray) -> np.ndarray:
        own = self._tensor(row)
        rows = [self._torch.empty_like(own) for _ in range(self.count)]
        self._torch.distributed.all_gather(rows, own)
        return np.stack([row.cpu().numpy() for row in rows])

    def from_first(self, row: np.ndarray) -> np.ndarray:
        tensor = self._tensor(row)
        self._torch.distributed.broadcast(tensor, src=0)
        return tensor.cpu().numpy()

    def _tensor(self, row: np.ndarray) -> Any:
        return self._torch.from_numpy(row.copy()).to(self._device)


class JaxEngine:
    """`jax.distributed`, which `keras.distribution.initialize` starts."""

    def __init__(self):
        import jax

        self.index: int = jax.process_index()
        self.count: int = jax.process_count()

    def gathered(self, row: np.ndarray) -> np.ndarray:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(row))

    def from_first(self, row: np.ndarray) -> np.ndarray:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.broadcast_one_to_all(row))


class Processes:
    """The processes of one training.

    Args:
        engine: What connects them. `None` if this process trains alone.

    >>> alone = Processes(None)
    >>> alone.is_first, alone.count, alone.gathered([1.5])
    (True, 1, [[1.5]])
    """

    def __init__(self, engine: Engine | None):
        self._engine = engine
        self.index: int = 0 if engine is None else engine.index
        self.count: int = 1 if engine is None else engine.count

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, the only one that writes."""
        return self.index == 0

    def gathered(self, numbers: list[float]) -> list[list[float]]:
        """Return the numbers of each process. All processes give the same amount of numbers."""
        if self._engine is None or not numbers:
            return [numbers]
        return self.gathered_array(np.array(numbers, np.float64)).tolist()

    def gathered_array(self, own: np.ndarray) -> np.ndarray:
        """Return the arrays of each process, of shape `(count, n)`. All give the same shape `(n,)` and dtype."""
        if self._engine is None:
            return own[np.newaxis]
        row = np.ascontiguousarray(own).view(np.uint8)  # JAX would round the numbers
        return np.ascontiguousarray(self._engine.gathered(row)).view(own.dtype)

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Run a block in all processes, and raise an error in all of them if it raises one in any.

        Raises:
            OptionError: In the processes that have no error of their own.
        """
        try:
            yield
        except Exception:
            self.gathered([1])
            raise
        failed = [index for index, (raised,) in enumerate(self.gathered([0])) if raised]
        if failed:
            raise OptionError(f"Process {failed[0]} cannot train. Its error message says why.")

    def share(self, checkpoint: Checkpoint | None) -> Checkpoint | None:
        """Return the checkpoint of process 0.

        Args:
            checkpoint: The checkpoint, in process 0. It is ignored in the others.
        """
        if self._engine is None:
            return checkpoint
        sent = _as_bytes(checkpoint) if self.is_first and checkpoint is not None else np.empty(0, np.uint8)
        num_bytes = int(self.gathered([len(sent)])[0][0])
        if num_bytes == 0:
            return None
        piece_bytes = min(num_bytes, PIECE_BYTES)
        received = np.empty(-(-num_bytes // piece_bytes) * piece_bytes, np.uint8)
        received[: len(sent)] = sent
        for start in range(0, len(received), piece_bytes):
            received[start : start + piece_bytes] = self._engine.from_first(received[start : start + piece_bytes])
        return checkpoint if self.is_first else _of_bytes(received)


def _as_bytes(checkpoint: Checkpoint) -> np.ndarray:
    """Return a checkpoint as bytes: the length of a JSON, the JSON, and the arrays."""
    described = [(name, dtype_name(array.dtype), array.shape) for name, array in checkpoint.arrays.items()]
    record = json.dumps([str(checkpoint.path), checkpoint.number, checkpoint.state, described]).encode()
    parts = [len(record).to_bytes(8, "little"), record, *(array.tobytes() for array in checkpoint.arrays.values())]
    return np.frombuffer(b"".join(parts), np.uint8)


def _of_bytes(received: np.ndarray) -> Checkpoint:
    """Return the checkpoint that `_as_bytes` was given."""
    end = 8 + int.from_bytes(received[:8].tobytes(), "little")
    path, number, state, described = json.loads(received[8:end].tobytes())
    arrays = {}
    for name, dtype, shape in described:
        array = np.empty(shape, named_dtype(dtype))
        start, end = end, end + array.nbytes
        arrays[name] = np.frombuffer(received[start:end].tobytes(), array.dtype).reshape(shape)
    return Checkpoint(Path(path), number, state, arrays)
