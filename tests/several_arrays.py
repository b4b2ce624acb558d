"""Files of several arrays each, whose values prove which sample they are, and a reader of them."""

from pathlib import Path

import numpy as np

import keras_oocore as ko

NUM_SAMPLES = 10
ROW = np.dtype([("x_image", "u1", (4, 5, 3)), ("x_table", "f4", (2,)), ("y", "i4")], align=True)


class RowReader:
    """Reads an image, two numbers and an answer from one file, into the arrays of a row."""

    shape, dtype = (), ROW

    def read_into(self, path, out):
        number = int(Path(path).read_text())
        out["x_image"] = image_of(number)
        out["x_table"] = table_of(number)
        out["y"] = answer_of(number)


def image_of(number):
    return np.full((4, 5, 3), 10 * number, "u1") + np.arange(60, dtype="u1").reshape(4, 5, 3) % 10


def table_of(number):
    return np.float32([number, -number])


def answer_of(number):
    return number % 3


def write_files(folder):
    """Write one file per sample into a new folder, and return the folder."""
    folder.mkdir()
    for number in range(NUM_SAMPLES):
        (folder / f"{number}.txt").write_text(str(number))
    return folder


def opened(folder, reader=None, **options):
    """Return a Sequence of the files that `write_files` wrote."""
    names = sorted((path.name for path in folder.glob("*.txt")), key=lambda name: int(name[:-4]))
    defaults = dict(batch_size=4, seed=7)
    return ko.NpyManifestSequence(
        names, labels=None, directory=folder, reader=reader or RowReader(), **{**defaults, **options}
    )


def require_whole(batch, image=lambda image: image):
    """Check that all arrays of a batch belong to the same samples, and return their numbers."""
    x, y = batch[:2]
    numbers = x["table"][:, 0].astype(int).tolist()
    for row, number in enumerate(numbers):
        assert np.array_equal(x["image"][row], image(image_of(number)))
        assert x["table"][row].tolist() == [number, -number]
        assert y[row] == answer_of(number)
    return numbers


def as_bytes(batches):
    """The bytes of all arrays of batches."""
    return [_bytes(batch) for batch in batches]


def _bytes(part):
    if isinstance(part, dict):
        return {name: _bytes(value) for name, value in part.items()}
    return [_bytes(value) for value in part] if isinstance(part, tuple) else part.tobytes()
