"""Memory while a packed store four times larger than `memory_limit` is read, and after it is closed.

    python benchmarks/store_memory.py --memory-limit 64MB

Anonymous memory is the process's own. Pages of the mapped store count as files: they are the system's page cache, which
takes them back when a process needs memory. Both are read from /proc after every batch. Linux only.
"""

import argparse
import contextlib
import gc
import os
import re
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: F401 - before the start: what it takes is not ours
from stored_rows import ROW_BYTES, packed_rows

import keras_oocore as ko
from keras_oocore.core.sizes import format_bytes, parse_bytes


def resident_bytes():
    """Anonymous memory and pages of files."""
    status = Path("/proc/self/status").read_text()
    return [int(re.search(rf"{name}:\s*(\d+) kB", status)[1]) * 1024 for name in ("RssAnon", "RssFile")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", help="where the store is kept; a temporary one unless told")
    parser.add_argument("--memory-limit", default="64MB")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    limit_bytes = parse_bytes(options.memory_limit)
    num_rows = 4 * limit_bytes // ROW_BYTES + 1

    def say(what, resident):
        anonymous, files = (max(0, now - before) for now, before in zip(resident, start))
        print(f"{what:13} anonymous {format_bytes(anonymous):>10}, files {format_bytes(files):>10} above the start")

    with contextlib.ExitStack() as stack:
        store = packed_rows(options.directory or stack.enter_context(tempfile.TemporaryDirectory()), num_rows)
        gc.collect()
        start = resident_bytes()
        print(f"{num_rows:,} rows, {format_bytes(num_rows * ROW_BYTES)}; memory_limit {format_bytes(limit_bytes)}")
        # As many batches ahead as the limit allows, so that it is the limit that is put to the test.
        batches = ko.open_packed(store, seed=0, memory_limit=limit_bytes, max_queue_size=2**20)
        say("opened", resident_bytes())
        for epoch in range(options.epochs):
            most = [0, 0]
            for _batch in batches:
                most = [*map(max, most, resident_bytes())]
            say(f"epoch {epoch}, most", most)
        del _batch  # ours to let go
        batches.close()
        say("closed", resident_bytes())
        del batches
        gc.collect()
        say("deleted", resident_bytes())


if __name__ == "__main__":
    main()
