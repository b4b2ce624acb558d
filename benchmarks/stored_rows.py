"""Rows of random `uint8` images as a packed store, without the image files it would be made of; made once."""

import math
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from keras_oocore import Manifest
from keras_oocore.store.writer import PackedStoreWriter

ROW_SHAPE = (224, 224, 3)
ROW_BYTES = math.prod(ROW_SHAPE)
PART_ROWS = 200
PLACES = np.array([1, 2**8, 2**16])  # the three values of a row's first pixel are the row's number


def packed_rows(directory: str | os.PathLike, num_rows: int) -> Path:
    """The packed store of `num_rows` rows below `directory`, written when it is not there yet."""
    folder = Path(directory) / f"{num_rows}_rows"
    return once(folder / "packed", lambda path: write_store(path, random_rows(num_rows), np.arange(num_rows) % 10))


def once(path: Path, write: Callable[[Path], None]) -> Path:
    """`path`, which `write` makes when it is not there; after a run that was stopped, again from the beginning."""
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.unfinished")
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        write(unfinished)
        unfinished.rename(path)
        os.sync()  # or the disk would still be writing while somebody is timed
    return path


def random_rows(num_rows: int) -> Iterable[np.ndarray]:
    """All rows, some at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, num_rows, PART_ROWS):
        numbers = np.arange(start, min(start + PART_ROWS, num_rows))
        part = rng.integers(0, 256, (len(numbers), *ROW_SHAPE), np.uint8)
        part[:, 0, 0] = numbers[:, np.newaxis] // PLACES % 256
        yield part


def write_store(directory: Path, parts: Iterable[np.ndarray], labels: np.ndarray) -> None:
    """Make a packed store of `parts`, arrays of rows that follow one another."""
    parts = iter(parts)
    part, start = next(parts), 0
    fields = {"x": (part.shape[1:], part.dtype), "source": ((2,), "int64")}
    with PackedStoreWriter(directory, fields, len(labels), fingerprint={}) as writer:
        while part is not None:
            rows = np.arange(start, start + len(part))
            writer.write(rows, {"x": part, "source": np.zeros((len(part), 2), np.int64)})
            part, start = next(parts, None), start + len(part)
        writer.finish()
    filenames = np.array([f"{row:06d}.png" for row in range(len(labels))])
    Manifest.from_arrays(filenames, labels.astype("int32"), directory=None).save(directory)
