"""One job: reads the samples of a batch, or of a few small ones, and returns batches as Keras expects them."""

import sys
import threading
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.batches.image_input import applied
from keras_oocore.batches.plan import BatchPlan
from keras_oocore.batches.transform import Draws
from keras_oocore.batches.weights import shaped_weight
from keras_oocore.core.errors import SampleError
from keras_oocore.core.faults import MOST_IN_A_ROW, fault_of
from keras_oocore.core.stopwatch import stage
from keras_oocore.core.threads import end_if_unwanted, is_exiting
from keras_oocore.sources.layout import X

Arrays = dict[str, np.ndarray]  # the arrays of a batch by name, as in `sources/layout`


class Failure(NamedTuple):
    """Stands for a batch that could not be made."""

    error: Exception


class BatchJob:
    """Makes one or more batches: call `fill` for all rows in any order, and then `finish`.

    Args:
        plan: The `BatchPlan` that all jobs share.
        epoch: Number of the epoch.
        position: Position of the first batch in the epoch.
        num_batches: Number of batches.
        is_peek: Whether the batches are only looked at, so that they do not count as served.
    """

    def __init__(self, plan: BatchPlan, epoch: int, position: int, num_batches: int, is_peek: bool = False):
        self.plan = plan
        self.epoch = epoch
        self.position = position
        self.num_batches = num_batches
        self.is_peek = is_peek
        self._bounds = start, stop = plan.bounds(position, num_batches)
        self.num_rows: int = stop - start
        self.rows_per_task: int = plan.source.rows_per_task
        self.arrays: Arrays | None = None
        self._planned = None
        self._leasing = threading.Lock()
        self._failed = {}  # row -> error

    @property
    def planned(self) -> np.ndarray:
        """The samples of the job. The first thread that fills rows computes them."""
        with self._leasing:
            if self._planned is None:
                self._planned = self.plan.order.samples(self.epoch, *self._bounds)
            return self._planned

    def fill(self, start: int, stop: int) -> None:
        """Read rows `start` to `stop`."""
        plan = self.plan
        if start == 0 and (chunks := plan.order.chunks_due(self.epoch, *self._bounds)):
            plan.source.prefetch(chunks)
        with self._leasing:
            if self.arrays is None:  # not earlier: a waiting job would occupy a buffer in the processor's cache
                self.arrays = plan.lease(self.num_rows)
        for row, error in self._read(self.planned[start:stop], _rows(self.arrays, slice(start, stop))).items():
            self._failed[start + row] = error

    def prefetch_next(self) -> None:
        """Read chunks that the next jobs need."""
        plan = self.plan
        if chunks := plan.order.chunks_coming(self.epoch, *self._bounds):
            plan.source.prefetch(chunks)

    def _read(self, samples: np.ndarray, out: Arrays) -> dict[int, SampleError]:
        """Read samples, convert them, and write them into `out`."""
        source, format = self.plan.source, self.plan.format
        if not (format.converts or format.several):
            return source.read(samples, out[X])
        failed = {}
        for start in range(0, len(samples), format.rows_per_step):
            end_if_unwanted()
            part = slice(start, start + format.rows_per_step)
            stored = np.empty((len(samples[part]), *format.spec.shape), format.spec.dtype)
            for row, error in source.read(samples[part], stored).items():
                failed[start + row] = error
            format.convert(stored, _rows(out, part))
        return failed

    def finish(self) -> list[Any]:
        """Return the batches, each `x`, `(x, y)` or `(x, y, sample_weight)`, or `(x,)` if `x` is a tuple.

        If there are several batches, each is a copy, so a batch that the user keeps does not hold the memory of the
        others. A `Failure` stands for each of them that cannot be made. When the interpreter exits, only the first is
        made, and `None` stands for the others, which are made when they are asked for.
        """
        arrays, self.arrays = self.arrays, None  # now only the batches refer to the buffer
        if self.num_batches == 1:
            return [self._finished(arrays, 0)]
        size = self.plan.options.batch_size
        batches = []
        for start in range(0, self.num_rows, size):
            end_if_unwanted()  # a `transform` may be slow
            if batches and is_exiting():
                batches.append(None)
            else:
                batches.append(self._outcome(_copied(_rows(arrays, slice(start, start + size))), start))
        return batches

    def _outcome(self, arrays: Arrays, start: int) -> Any:
        """Return one of several batches, or a `Failure`. The other batches are not affected."""
        try:
            return self._finished(arrays, start)
        except Exception as error:
            return Failure(error)

    def _finished(self, arrays: Arrays, start: int) -> Any:
        """Return the batch whose rows are `arrays`. Its first row is row `start` of the job."""
        plan, samples = self.plan, self.planned[start : start + _num_rows(arrays)]
        planned = samples
        if self._failed:
            arrays, samples = self._without_failed(arrays, samples, start)
        if not self.is_peek:
            plan.record(self.epoch, self._bounds[0] + start, planned, samples)
        num_rows, in_epoch = len(samples), self.position + start // plan.options.batch_size
        x, y, weight = plan.source.unpack(arrays if plan.format.several else arrays[X], samples)
        if plan.format.transform is not None:
            # Positions continue from part to part of an order, so that no two parts draw the same numbers.
            position = self.position + (plan.order.first + start) // plan.options.batch_size
            with stage("transform"):
                options, name = plan.options, plan.source.name
                drawn = self._drawn_before(start, planned, samples)
                real = None if plan.padding is None else plan.padding.num_real(in_epoch)
                draws = Draws(options.seed, self.epoch, position, samples, name, options.shard, 0, drawn, real)
                x, y = applied(plan.format.transform, x, y, draws)
        if plan.padding is not None:
            return plan.padding.apply(in_epoch, x, y, weight, num_rows)
        if weight is not None:
            return x, y, shaped_weight(weight, y)
        if y is None:
            return (x,) if isinstance(x, tuple) else x  # Keras would take a tuple of two inputs for (x, y)
        return x, y

    def _drawn_before(self, start: int, planned: np.ndarray, served: np.ndarray) -> np.ndarray | None:
        """Return how often each served sample was drawn before in this epoch, or `None` for never."""
        first = self._bounds[0] + start
        drawn = self.plan.order.draws(self.epoch, first, first + len(planned))
        return drawn if drawn is None or len(served) == len(planned) else drawn[np.isin(planned, served)]

    def _without_failed(self, arrays: Arrays, samples: np.ndarray, start: int) -> tuple[Arrays, np.ndarray]:
        """Return the rows and samples of a batch, with unreadable samples skipped or replaced."""
        on_error = self.plan.options.on_error
        failed = {row - start: error for row, error in self._failed.items() if start <= row < start + len(samples)}
        for row, error in sorted(failed.items()):
            if on_error == "raise":
                raise error.raised() from error.__cause__
            self.plan.bad_samples[int(samples[row])] = error
        if on_error == "replace":
            samples = samples.copy()
            for row in sorted(failed):
                samples[row] = self._replace(start + row, _rows(arrays, slice(row, row + 1)))
            return arrays, samples
        kept = np.delete(np.arange(len(samples)), list(failed))
        if not len(kept):
            raise SampleError(
                f"None of the {len(samples)} samples of a batch can be read. The first error: {failed[min(failed)]}"
            )
        return _rows(arrays, kept), samples[kept]

    def _replace(self, row: int, out: Arrays) -> int:
        """Fill `out` with the next readable sample of the plan after `row`, and return its number."""
        plan, num_passing = self.plan, 0
        first = self.position * plan.options.batch_size + row
        for position in range(first + 1, first + plan.order.size):
            end_if_unwanted()
            position %= plan.order.size
            samples = plan.order.samples(self.epoch, position, position + 1)
            failed = self._read(samples, out)
            if not failed:
                return int(samples[0])
            plan.bad_samples[int(samples[0])] = failed[0]
            num_passing += fault_of(failed[0], sys.exception()).passes
            if num_passing == MOST_IN_A_ROW:
                raise SampleError(
                    f"{self._failed[row]} The next {MOST_IN_A_ROW} samples, which could replace it, cannot be read "
                    "either. Does the disk or network fail?"
                ) from failed[0].__cause__
        raise SampleError(f"No sample can be read. The first error: {self._failed[row]}")


def _rows(arrays: Arrays, rows: Any) -> Arrays:
    """Return some rows of all arrays."""
    return {name: array[rows] for name, array in arrays.items()}


def _copied(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}


def _num_rows(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))
