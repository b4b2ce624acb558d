"""Memory while a CSV file is opened and read twice in random order, with a `memory_limit`.

    python benchmarks/csv_memory.py kc_house_data.csv --megabytes 4000 --memory-limit 128MB

The result is the peak resident memory since the imports, less the resident memory at that time. Linux only.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: F401 - before the start: what it takes is not ours
import pyarrow.csv  # noqa: F401
from large_csv import BATCH_SIZE, FEATURES, TARGET, repeated

import keras_oocore as ko
from keras_oocore.core.sizes import format_bytes


def resident_bytes(name):
    return int(re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", help="kc_house_data.csv")
    parser.add_argument("--megabytes", type=int, default=420)
    parser.add_argument("--memory-limit", default="128MB")
    parser.add_argument("--directory", help="where the large file is kept; a temporary one unless told")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = repeated(options.csv, options.megabytes, Path(options.directory or folder) / "large.csv")
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        start = resident_bytes("VmRSS")

        def say(what):
            print(f"{what:9} {format_bytes(resident_bytes('VmHWM') - start)} above the imports at most", flush=True)

        rows = ko.CSVChunkSequence(
            path, TARGET, FEATURES, batch_size=BATCH_SIZE, seed=0, memory_limit=options.memory_limit
        )
        print(f"{rows.num_rows:,} rows, {os.path.getsize(path) / 1e6:,.0f} MB; memory_limit {options.memory_limit}")
        say("opened")
        for epoch in range(2):
            for _ in rows:
                pass
            say(f"epoch {epoch}")


if __name__ == "__main__":
    main()
