"""Rows per second from a store on disk, shuffled: keras_oocore against other stores, all of them in the page cache.

    python benchmarks/store.py --directory /data/rows
    python benchmarks/store.py --without "tf.data cache(file)" "Grain, ArrayRecord"

10,000 rows of 224 by 224 by 3 take 1.5 GB in each of six stores, 9 GB of disk and as much free memory, or they would
come from the disk; numpy and torch read ours. The stores are made if they do not exist, and stay in
`--directory`. A batch is 32 whole rows in one `uint8` array; ours also has labels. The shuffle is global but for
tf.data, which draws from 1,000 rows. A run is three epochs, one after the other as in training. Needs tensorflow,
torch, grain, lmdb, h5py and datasets, each only for its own contestant.
"""

import argparse
import contextlib
import functools
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from in_turn import OURS, measure
from stored_rows import PART_ROWS, PLACES, ROW_BYTES, ROW_SHAPE, once, packed_rows

import keras_oocore as ko

BATCH_SIZE, EPOCHS = 32, 3


def shuffled(num_rows):
    """The rows of each batch of an epoch."""
    return np.split(np.random.permutation(num_rows), range(BATCH_SIZE, num_rows, BATCH_SIZE))


def numpy_indexing(store, x):
    return lambda: (x[rows] for rows in shuffled(len(x)))


def torch_loader(store, x):
    import torch

    class Rows(torch.utils.data.Dataset):
        @functools.cached_property
        def x(self):
            return np.load(store / "x.npy", mmap_mode="c")  # writable for torch; nothing is written or copied

        def __len__(self):
            return len(x)

        def __getitem__(self, row):
            return torch.from_numpy(self.x[row])

    loader = torch.utils.data.DataLoader(Rows(), BATCH_SIZE, shuffle=True, num_workers=2, persistent_workers=True)
    return lambda: (batch.numpy() for batch in loader)


def lmdb_store(store, x):
    import lmdb

    def write(path):
        with lmdb.open(os.fspath(path), map_size=2 * x.nbytes + 2**26) as environment:
            for start in range(0, len(x), PART_ROWS):
                with environment.begin(write=True) as transaction:
                    for row in range(start, min(start + PART_ROWS, len(x))):
                        transaction.put(b"%08d" % row, x[row].tobytes(), append=True)

    path = once(store.with_name("lmdb"), write)
    environment = lmdb.open(os.fspath(path), readonly=True, lock=False)

    def epoch():
        with environment.begin(buffers=True) as transaction:
            for rows in shuffled(len(x)):
                stored = [transaction.get(b"%08d" % row) for row in rows]
                yield np.stack([np.frombuffer(value, np.uint8).reshape(ROW_SHAPE) for value in stored])

    return epoch


def h5py_contiguous(store, x):
    import h5py

    def write(path):
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("x", x.shape, x.dtype)
            for start in range(0, len(x), PART_ROWS):
                stored[start : start + PART_ROWS] = x[start : start + PART_ROWS]

    stored = h5py.File(once(store.with_name("rows.h5"), write), "r")["x"]

    def epoch():
        for rows in shuffled(len(x)):
            batch = np.empty((len(rows), *ROW_SHAPE), np.uint8)
            for place, row in enumerate(rows.tolist()):
                stored.read_direct(batch, np.s_[row], np.s_[place])
            yield batch

    return epoch


def huggingface(store, x):
    import datasets
    from datasets.arrow_writer import ArrowWriter

    def write(path):
        # Bytes: with the numpy format, rows of Array3D or of lists came back as int64 (datasets 5.2.0).
        features = datasets.Features({"x": datasets.Value("binary")})
        with ArrowWriter(features=features, path=os.fspath(path), writer_batch_size=PART_ROWS) as writer:
            for row in x:
                writer.write({"x": row.tobytes()})
            writer.finalize()

    stored = datasets.Dataset.from_file(os.fspath(once(store.with_name("rows.arrow"), write)))

    def epoch():
        for rows in shuffled(len(x)):
            yield np.stack([np.frombuffer(value, np.uint8).reshape(ROW_SHAPE) for value in stored[rows]["x"]])

    return epoch


def grain_array_record(store, x):
    import grain
    from array_record.python.array_record_module import ArrayRecordWriter

    def write(path):
        writer = ArrayRecordWriter(os.fspath(path), "group_size:1,uncompressed")  # as random access wants it
        for row in x:
            writer.write(row.tobytes())
        writer.close()

    source = grain.sources.ArrayRecordDataSource(os.fspath(once(store.with_name("rows.array_record"), write)))
    shuffled_rows = grain.MapDataset.source(source).shuffle(seed=0)
    rows = shuffled_rows.map(lambda value: np.frombuffer(value, np.uint8).reshape(ROW_SHAPE))
    return rows.batch(BATCH_SIZE).to_iter_dataset().__iter__


def tf_data_cache(store, x):
    import tensorflow as tf

    def cached(folder):
        folder.mkdir(exist_ok=True)
        files = tf.data.Dataset.from_generator(lambda: x, output_signature=tf.TensorSpec(ROW_SHAPE, tf.uint8))
        return files.cache(os.fspath(folder / "rows"))

    def write(folder):
        for _ in cached(folder):
            pass

    rows = cached(once(store.with_name("tf_data"), write))
    return rows.shuffle(1000).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE).as_numpy_iterator


PEERS = {
    "numpy, one thread": numpy_indexing,
    "torch DataLoader, 2 workers": torch_loader,
    "LMDB": lmdb_store,
    "h5py": h5py_contiguous,
    "HuggingFace datasets": huggingface,
    "Grain, ArrayRecord": grain_array_record,
    "tf.data cache(file)": tf_data_cache,
}


def consume(batch):
    """The sum of the numbers of a batch's rows, read from the first pixel of each.

    A batch that is in one piece is in memory as a whole: its rows lie apart in every store.
    """
    if batch.shape[1:] != ROW_SHAPE or batch.dtype != np.uint8 or not batch.flags.c_contiguous:
        raise SystemExit(f"Not a batch of rows: {batch.shape} of {batch.dtype}")
    return int((batch[:, 0, 0] @ PLACES).sum())


def counted(name, epoch, num_rows):
    """The work of one run, which fails unless every row was served."""

    def work():
        for _ in range(EPOCHS):
            if sum(map(consume, epoch())) != num_rows * (num_rows - 1) // 2:
                raise SystemExit(f"{name} did not serve every row once")
        return num_rows * EPOCHS

    return work


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", help="where the stores are kept; a temporary one unless told")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without", nargs="*", default=[], choices=list(PEERS), help="contestants to leave out")
    parser.add_argument("--save", metavar="FILE", help="also write the rates of all runs to this JSON file")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = options.directory or stack.enter_context(tempfile.TemporaryDirectory())
        print(f"{options.rows:,} rows of {ROW_SHAPE}: {options.rows * ROW_BYTES / 1e9:.1f} GB a store in {directory}")
        store = packed_rows(directory, options.rows)
        x = np.load(store / "x.npy", mmap_mode="r")
        ours = ko.open_packed(store, batch_size=BATCH_SIZE, seed=0)
        epochs = {OURS: lambda: (rows for rows, _ in ours)}
        epochs |= {name: make(store, x) for name, make in PEERS.items() if name not in options.without}
        contestants = {name: counted(name, epoch, options.rows) for name, epoch in epochs.items()}
        # Ours closes before each turn: it makes nothing ahead while the others have theirs, nor for its own.
        measure(contestants, options.runs, "rows", before=ours.close, save=options.save)


if __name__ == "__main__":
    main()
