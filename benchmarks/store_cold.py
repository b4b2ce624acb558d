"""MB per second from a packed store that is not in memory: at random, in shuffled blocks and in order.

    python benchmarks/store_cold.py --directory /data/rows

Before each turn the store is written back and dropped from the page cache, and the script fails if the system keeps
more than a hundredth of it. Below the system there may be other caches, such as those of a virtual machine's host.
10,000 rows of 224 by 224 by 3 take 1.5 GB of disk; they are made once, and stay in `--directory`. Linux only.
"""

import argparse
import contextlib
import ctypes
import mmap
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from in_turn import OURS, measure
from stored_rows import ROW_BYTES, packed_rows

import keras_oocore as ko

BATCH_SIZE, PIECE_BYTES = 32, 2**20
SEQUENTIAL = "plain reading"


def drop_from_memory(path):
    """Empty the page cache of a file; nobody may have it mapped."""
    os.sync()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    share = share_in_memory(path)
    if share > 0.01:
        raise SystemExit(f"{share:.0%} of {path} is still in memory: is it open elsewhere, or on a tmpfs?")


def share_in_memory(path):
    """How much of a file is in the page cache."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        values = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-values.nbytes // mmap.PAGESIZE), np.uint8)
        addresses = (
            ctypes.c_void_p(values.ctypes.data),
            ctypes.c_size_t(values.nbytes),
            ctypes.c_void_p(pages.ctypes.data),
        )
        if ctypes.CDLL(None, use_errno=True).mincore(*addresses):
            raise OSError(ctypes.get_errno(), "mincore")
        del values
        return (pages & 1).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", help="where the store is kept; a temporary one unless told")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    megabytes = options.rows * ROW_BYTES / 1e6

    def ours(shuffle):
        def work():  # opened each time: pages that are mapped would stay in memory
            with ko.open_packed(store, batch_size=BATCH_SIZE, shuffle=shuffle, seed=0) as batches:
                for _ in batches:
                    pass
            return megabytes

        return work

    def numpy_indexing():
        x = np.load(rows, mmap_mode="r")
        order = np.random.permutation(options.rows)
        for start in range(0, options.rows, BATCH_SIZE):
            x[order[start : start + BATCH_SIZE]]
        return megabytes

    def plain_reading():
        piece = bytearray(PIECE_BYTES)
        with open(rows, "rb", buffering=0) as file:
            while file.readinto(piece):
                pass
        return megabytes

    with contextlib.ExitStack() as stack:
        store = packed_rows(options.directory or stack.enter_context(tempfile.TemporaryDirectory()), options.rows)
        rows = store / "x.npy"
        contestants = {
            f"{OURS}, random": ours(True),
            f"{OURS}, blocks": ours("block"),
            f"{OURS}, in order": ours(False),
            "numpy, random": numpy_indexing,
            SEQUENTIAL: plain_reading,
        }
        print(f"{options.rows:,} rows of {ROW_BYTES / 1e3:.0f} kB: {megabytes:,.0f} MB in {store}")
        measure(contestants, options.runs, "MB", SEQUENTIAL, before=lambda: drop_from_memory(rows))


if __name__ == "__main__":
    main()
