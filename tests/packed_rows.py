"""Example rows of a packed store, and short forms of writing, reading and damaging it."""

import subprocess
import sys

import numpy as np

from keras_oocore.core import temporary
from keras_oocore.store.writer import PackedStoreWriter

FIELDS = {"x": ((2, 3), "uint8"), "y": ((), "float32")}
NUM_ROWS = 12
TIMEOUT_SECONDS = 300  # of threads and child processes, far beyond their work


def example_rows(num_rows=NUM_ROWS):
    """Arrays whose values show the number of each row."""
    rows = np.arange(num_rows)
    return {"x": np.uint8(rows[:, None, None] + np.arange(6).reshape(2, 3)), "y": np.float32(rows)}


def writer_of(directory, fields=FIELDS, num_rows=NUM_ROWS, fingerprint=None, **options):
    return PackedStoreWriter(directory, fields, num_rows, fingerprint or {"size": [2, 3]}, **options)


def write(writer, rows, arrays=None):
    rows = np.array(rows, np.int64)
    writer.write(
        rows, {name: values[rows] for name, values in (arrays or example_rows(writer.record.num_rows)).items()}
    )


def finished(directory, **options):
    writer = writer_of(directory, **options)
    write(writer, np.arange(writer.record.num_rows))
    return writer.finish()


def read(store, name, rows):
    shape, dtype = store.record.fields[name]
    out = np.full((len(rows), *shape), 7).astype(dtype)
    store.read(name, np.array(rows, np.int64), out)
    return out


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(temporary.TEMPORARY_PREFIX))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def flip(path, offset):
    """Change one bit of the byte at `offset`, which counts from the end if it is negative."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def python(code, *arguments):
    """Run code in a child process, and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS)
    assert child.returncode == 0
    return child.stdout.strip()


def is_free(directory):
    """Whether another process may write to a directory."""
    code = """if True:
        import sys
        from keras_oocore.core.errors import BusyError
        from keras_oocore.core.locks import write_lock
        try:
            with write_lock(sys.argv[1]):
                print("free")
        except BusyError:
            print("busy")
    """
    return python(code, directory) == "free"
