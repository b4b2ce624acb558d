"""ArraySequence: datasets of HDF5 files, and objects like arrays."""

import itertools
import os
import pickle
import signal
import subprocess
import sys

import h5py
import inside_sequence as inside
import numpy as np
import pytest
from array_likes import Lazy, Slices, WithLock
from contracts.numbered import LABELS, NUM_SAMPLES
from contracts.passes import PassContract
from contracts.sequences import ReadingContract, SequenceContract
from contracts.workers import WorkerContract
from interrupts import sigint_raises

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError, SampleError
from keras_oocore.sequences import ArraySequence
from keras_oocore.sources import chunked
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.hdf5 import HDF5Rows

ROWS = np.repeat(np.arange(NUM_SAMPLES, dtype="float32"), 3).reshape(-1, 3)


class Blocks:
    """Every element of row i is i. A block is a chunk of two rows."""

    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr(chunked, "BLOCK_BYTES", 24)
        monkeypatch.setattr(chunked, "MOST_WINDOW_BLOCKS", 2)

    def prepare(self, folder):
        with h5py.File(folder / "rows.h5", "w") as file:
            file.create_dataset("rows", data=ROWS, chunks=(2, 3), compression="gzip")

    def open(self, folder, **options):
        return ArraySequence(folder / "rows.h5", **{"labels": LABELS, "dataset": "rows", **options})

    def numbers(self, x):
        assert (x == x[:, :1]).all()
        return x[:, 0].astype(int).tolist()


class TestChunks(Blocks, SequenceContract):
    """The chunks of a compressed dataset."""


class TestArrayLike(Blocks, ReadingContract):
    def open(self, folder, **options):
        return ArraySequence(Slices(ROWS, chunks=(2, 3)), **{"labels": LABELS, **options})


class TestLazy(Blocks, PassContract, WorkerContract):
    def open(self, folder, **options):
        return ArraySequence(Lazy(ROWS, (2, 2, 2, 2, 2)), **{"labels": LABELS, **options})


class TestCache(Blocks, ReadingContract):
    caches = itertools.count()

    def open(self, folder, **options):
        return super().open(folder, **{"cache": folder / f"cache {next(self.caches)}", **options})


@pytest.fixture
def file(in_tmp_path):
    """A new HDF5 file, `data.h5`."""
    with h5py.File("data.h5", "w") as file:
        yield file


def rows(num_rows=1000):
    """Rows of 1 kB. Their values are the number of the row."""
    return np.repeat(np.arange(num_rows, dtype="float32"), 256).reshape(num_rows, 256)


def numbers_of(sequence):
    return np.concatenate([x[:, 0] for x in sequence]).astype(int).tolist()


# Blocks


@pytest.mark.parametrize("shuffle", [True, False, "block"])
@pytest.mark.parametrize("workers", [0, 2])
def test_each_block_is_read_once_per_epoch_with_one_call(shuffle, workers):
    data = Slices(rows(), chunks=(50, 256))
    options = dict(shuffle=shuffle, workers=workers, memory_limit="1.1MB", max_queue_size=1)
    sequence = ArraySequence(data, labels=None, batch_size=32, seed=0, **options)
    assert "read in 4 blocks of 250 rows, at most 1.0 MB in memory" in repr(sequence)

    for _ in range(3):
        assert sorted(numbers_of(sequence)) == list(range(1000))
    assert sorted(data.read) == [(0, 250), (250, 500), (500, 750), (750, 1000)]  # all of them fit into memory

    options["memory_limit"], ahead = "400kB", 30 * bool(workers)  # batches of the next epoch are made ahead
    sequence = ArraySequence(data, labels=None, batch_size=32, seed=0, **options)
    assert (", 3 of them shuffled together" in repr(sequence)) == (shuffle is True)
    blocks = [(start, start + 50) for start in range(0, 1000, 50)]
    data.read.clear()
    for epoch in range(1, 4):
        assert sorted(numbers_of(sequence)) == list(range(1000))
        assert set(data.read) == set(blocks)
        assert len(data.read) <= epoch * 20 + ahead


def test_rows_of_a_window_are_mixed_and_windows_differ_per_epoch(monkeypatch):
    monkeypatch.setattr(chunked, "BLOCK_BYTES", 20 * 1024)
    monkeypatch.setattr(chunked, "MOST_WINDOW_BLOCKS", 5)
    sequence = ArraySequence(Slices(rows()), labels=None, batch_size=100, seed=0, memory_limit="600kB")
    windows = [[sorted(set((x[:, 0] // 20).astype(int).tolist())) for x in sequence] for _ in range(2)]

    assert [len(blocks) for blocks in windows[0]] == [5] * 10  # each batch has rows of all blocks of its window
    assert sorted(block for blocks in windows[0] for block in blocks) == list(range(50))
    assert windows[0] != windows[1]


def test_the_order_does_not_depend_on_the_machine(monkeypatch):
    orders = []
    for machine_bytes in (10**8, 10**12):
        monkeypatch.setattr(
            "keras_oocore.core.sizes.default_limit_bytes", lambda machine_bytes=machine_bytes: machine_bytes
        )
        orders.append(numbers_of(ArraySequence(Slices(rows(3000)), labels=None, seed=0)))

    assert orders[0] == orders[1]


def test_a_chunk_that_does_not_fit_into_the_limit_is_an_error(file):
    file.create_dataset("rows", data=rows(), chunks=(1000, 256))

    with pytest.raises(
        OptionError,
        match=r"A chunk of '.*data.h5/rows' has 1,000 rows of 1.0 kB, together 1.0 MB, which "
        r"do not fit into 1.0 MB. Pass memory_limit=2048000, or write the data in smaller chunks",
    ):
        ArraySequence(file["rows"], labels=None, memory_limit="1MB")
    assert numbers_of(ArraySequence(file["rows"], labels=None, memory_limit=2_048_000, shuffle=False)) == [*range(1000)]


@pytest.mark.parametrize("chunks", [(40, 3), (100, 256), (7, 100)])
def test_chunks_of_any_shape(file, chunks):
    dataset = file.create_dataset("rows", data=rows(100), chunks=chunks, compression="gzip", shuffle=True)

    assert sorted(numbers_of(ArraySequence(dataset, labels=None, seed=0))) == list(range(100))


@pytest.mark.parametrize("sizes", [(50,) * 20, (50,) * 19 + (30, 20), (7, 43, *(50,) * 19)])
def test_arrays_that_are_computed_are_read_by_their_chunks(sizes, monkeypatch):
    monkeypatch.setattr(chunked, "BLOCK_BYTES", 50 * 1024)
    data = Lazy(rows(), sizes)
    sequence = ArraySequence(data, labels=None, batch_size=32, seed=0)

    for _ in range(2):
        assert sorted(numbers_of(sequence)) == list(range(1000))
    assert all(stop - start <= 50 for start, stop in data.computed)
    assert len(data.computed) == len(set(data.computed)) >= 20  # each once, because all of them fit into memory
    if sizes[0] == 50:
        assert all(start % 50 == 0 for start, _ in data.computed)


def test_shards_of_an_array_are_read_as_a_whole(monkeypatch):
    monkeypatch.setattr(chunked, "BLOCK_BYTES", 1024)
    data = Slices(rows(100), chunks=(5, 256))
    data.shards = (25, 256)  # as zarr has them: several chunks in a file

    assert sorted(numbers_of(ArraySequence(data, labels=None, seed=0))) == list(range(100))
    assert sorted(data.read) == [(0, 25), (25, 50), (50, 75), (75, 100)]


# Memory maps


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "<f4", ">f8", "float16", "bool", "complex64", "int64"])
def test_contiguous_datasets_are_mapped(file, dtype):
    values = np.arange(60).reshape(20, 3).astype(dtype)
    file["rows"] = values
    sequence = ArraySequence(file["rows"], labels=None, shuffle=False)

    assert isinstance(inside.samples(sequence).rows.array.base, np.memmap)
    assert sequence[0].tolist() == values.tolist()
    assert sequence[0].dtype == np.dtype(dtype).newbyteorder("=")


def test_other_layouts_are_read_in_blocks(in_tmp_path):
    values = np.arange(60, dtype="int16").reshape(20, 3)
    with h5py.File("data.h5", "w") as file:
        with h5py.File("other.h5", "w", userblock_size=1024) as other:
            other["rows"] = values
        file.create_dataset("external", values.shape, "int16", external=[("rows.raw", 0, h5py.h5f.UNLIMITED)])
        file["external"][:] = values
        layout = h5py.VirtualLayout(values.shape, "int16")
        layout[:] = h5py.VirtualSource("other.h5", "rows", values.shape)
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("unwritten", values.shape, "int16", fillvalue=7)
        twelve_bits = h5py.h5t.NATIVE_INT16.copy()
        twelve_bits.set_precision(12)
        space = h5py.h5s.create_simple(values.shape)
        h5py.h5d.create(file.id, b"twelve bits", twelve_bits, space).write(space, space, values)
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I16BE, space, compact).write(space, space, values)
    mapped = {}
    for name in ("external", "virtual", "unwritten", "twelve bits", "compact"):
        sequence = ArraySequence("data.h5", labels=None, dataset=name, shuffle=False)
        mapped[name] = isinstance(inside.samples(sequence), ArrayRows)
        assert sequence[0].tolist() == (np.full_like(values, 7) if name == "unwritten" else values).tolist()
    assert not any(mapped.values())
    after_user_block = ArraySequence("other.h5", labels=None, dataset="rows", shuffle=False)
    assert isinstance(inside.samples(after_user_block), ArrayRows)
    assert after_user_block[0].tolist() == values.tolist()


# Opening


def test_an_open_dataset_is_read_and_opened_again_after_it_is_closed(file):
    file.create_dataset("train/rows", data=rows(100), chunks=(10, 256))
    sequence = ArraySequence(file["train/rows"], labels=np.arange(100), seed=0)
    expected = [x.tobytes() for x, _ in sequence]
    file.close()

    again = ArraySequence("data.h5", np.arange(100), dataset="train/rows", seed=0)
    assert sequence.filenames(0)[0].endswith("data.h5/train/rows")
    assert [x.tobytes() for x, _ in again] == expected
    copied = pickle.loads(pickle.dumps(again))
    copied.load_state_dict({**sequence.state_dict(), "epoch": 0})
    sequence.load_state_dict({**sequence.state_dict(), "epoch": 0})
    assert [x.tobytes() for x, _ in copied] == [x.tobytes() for x, _ in sequence] == expected


def test_the_file_is_closed_with_the_sequence_and_after_errors(file):
    for name, chunks in (("mapped", None), ("chunks", (10, 256))):
        file.create_dataset(name, data=rows(100), chunks=chunks)
    file["strings"] = np.array(["a"], object)
    file.close()
    closed = ArraySequence("data.h5", None, dataset="chunks")
    closed[0]
    closed.close()
    deleted = ArraySequence("data.h5", None, dataset="chunks")
    deleted[0]
    deleted.release()
    del deleted
    mapped = ArraySequence("data.h5", None, dataset="mapped")
    errors = []
    for name in ("strings", "nothing"):
        with pytest.raises(OptionError) as caught:
            ArraySequence("data.h5", None, dataset=name)
        errors.append(caught)

    with h5py.File("data.h5", "r+") as again:  # HDF5 refuses this while the file is open for reading
        assert len(again) == 3
    assert len(mapped[0]) == 32


def test_sequences_of_one_file_are_closed_independently(file):
    file.create_dataset("rows", data=rows(100), chunks=(10, 256))
    file.close()
    first, second = (ArraySequence("data.h5", None, dataset="rows", memory_limit="100kB") for _ in range(2))
    loop = iter(second)
    next(loop), first[0]
    first.close()

    assert len(list(loop)) == 3
    train, val = second.split(validation_split=0.5)
    train[0], val[0]
    train.close()
    assert sorted(numbers_of(train) + numbers_of(val)) == list(range(100))


def test_a_dataset_in_memory_is_read_but_not_sent_to_another_process():
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        file.create_dataset("rows", data=rows(10), chunks=(3, 256))
        sequence = ArraySequence(file["rows"], labels=None, shuffle=False)
        assert numbers_of(sequence) == list(range(10))
        with pytest.raises(OptionError, match=r"Dataset cannot be sent to another process: .*path of the file with "):
            pickle.dumps(sequence)
    with pytest.raises(OptionError, match=r"WithLock cannot be sent to another process: .*lock"):
        pickle.dumps(ArraySequence(WithLock(rows(3)), labels=None))


def test_labels_are_a_dataset_of_the_same_file(file):
    file.create_dataset("rows", data=rows(6), chunks=(2, 256))
    file["numbers"], file["names"] = np.arange(6) % 2, np.array(["ant", "bee"] * 3, dtype=object)
    file.close()

    numbers = ArraySequence("data.h5", "numbers", dataset="rows", shuffle=False)
    names = ArraySequence("data.h5", "names", label_mode="int", dataset="rows", shuffle=False)
    assert numbers[0][1].tolist() == names[0][1].tolist() == [0, 1] * 3
    assert names.class_names == ["ant", "bee"]
    with h5py.File("data.h5") as file:
        assert ArraySequence(file["rows"], file["names"], "int").class_names == ["ant", "bee"]
    with pytest.raises(
        OptionError,
        match=r"`labels` should be the name of a dataset in '.*data.h5': 'names' strings \(6,\), "
        r".*Received: labels='name'. Did you mean 'names'\?",
    ):
        ArraySequence("data.h5", "name", dataset="rows")


def test_files_of_any_name_are_recognized(file, in_tmp_path):
    file["bilder/größe"] = rows(4)
    file.close()
    for name in ("données.bin", "x.H5"):
        (in_tmp_path / name).write_bytes((in_tmp_path / "data.h5").read_bytes())
        assert len(ArraySequence(name, None, dataset="bilder/größe")) == 1


# What cannot be read


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (None, r"`dataset` should be the name of a dataset in '.*data.h5': 'compound' a compound dtype .* Received: "),
        ("row", r"Received: dataset='row'. Did you mean 'rows'\?"),
        ("group", r"Received: dataset='group'"),
        ("scalar", r"'.*data.h5/scalar' should have rows along its first axis. Received: a single number"),
        ("nothing", "'.*data.h5/nothing' is an empty dataset, without a shape"),
        (
            "compound",
            r"should contain numbers. Received: a compound dtype with the fields 'a', 'b'. Write each field as",
        ),
        ("strings", r"should contain numbers. Received: strings"),
        ("fixed", r"should contain numbers. Received: strings"),
        ("references", r"should contain numbers. Received: references"),
        ("ragged", r"should contain numbers. Received: arrays of different lengths. Pad them"),
        ("opaque", r"should contain numbers. Received: dtype \|V4"),
    ],
)
def test_datasets_that_are_not_rows_of_numbers_are_refused_by_name(file, dataset, message):
    file["rows"], file["scalar"], file["nothing"] = rows(2), 3.0, h5py.Empty("f4")
    file["compound"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
    file["strings"], file["fixed"] = np.array(["a", "b"], object), np.array([b"a", b"b"])
    file.create_dataset("references", (2,), h5py.ref_dtype)
    file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.float32))
    file["opaque"] = np.zeros(2, "V4")
    file.create_group("group")
    file.close()

    with pytest.raises(OptionError, match=message):
        ArraySequence("data.h5", None, dataset=dataset)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read '.*data.h5': No such file or directory"),
        (b"", "'.*data.h5' is empty"),
        (b"not HDF5 at all", "'.*data.h5' is not an HDF5 file"),
        ("truncated", "Cannot read '.*data.h5': .*truncated file.* Is it complete"),
    ],
)
def test_files_that_are_not_whole_are_errors(in_tmp_path, content, message):
    if content == "truncated":
        with h5py.File("data.h5", "w") as file:
            file["rows"] = rows(10)
        content = (in_tmp_path / "data.h5").read_bytes()[:4000]
    if content is not None:
        (in_tmp_path / "data.h5").write_bytes(content)
    for options in (dict(dataset="rows"), {}):
        with pytest.raises(DataError, match=message):
            ArraySequence("data.h5", None, **options)


def test_an_empty_or_misnamed_array_is_an_error(file):
    file.create_dataset("rows", (0, 3), "f4", maxshape=(None, 3))
    with pytest.raises(DataError, match="There are no samples"):
        ArraySequence(file["rows"], None)
    with pytest.raises(DataError, match=r"Received: 10 rows and 2 labels"):
        ArraySequence(Slices(rows(10)), [1, 2])
    with pytest.raises(OptionError, match=r"`dataset` is for the path of an HDF5 file. Received: data=ndarray of"):
        ArraySequence(rows(2), None, dataset="rows")
    with pytest.raises(OptionError, match=r"`cache` is for rows that are read in blocks"):
        ArraySequence(rows(2), None, cache="cache")
    with pytest.raises(OptionError, match=r"`data` should be numbers. Received: strings"):
        ArraySequence(Slices(np.array(["a"])), None)


def test_objects_that_are_not_like_arrays_are_errors():
    wrong = Slices(rows(4))
    wrong.rows = wrong.rows[:, :3]
    with pytest.raises(
        DataError, match=r"`data\[0:4\]` should be an array of shape \(4, 256\) and dtype float32. Received: "
    ):
        ArraySequence(wrong, None)[0]
    wrong.dtype = "no dtype"
    with pytest.raises(
        OptionError, match=r"`data` should have a `shape` of integers and a `dtype` of NumPy. Received: Slices"
    ):
        ArraySequence(wrong, None)


def test_a_missing_filter_is_named(file):
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((2, 256))
    created.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())  # zstd
    dataset = h5py.h5d.create(file.id, b"rows", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2, 256)), created)
    dataset.write_direct_chunk((0, 0), b"compressed", 0)
    file.close()

    with pytest.raises(
        DataError, match=r"is compressed with filter 32015.*pip install hdf5plugin, and import hdf5plugin"
    ):
        ArraySequence("data.h5", None, dataset="rows")


def test_a_file_that_changed_is_an_error(file):
    file.create_dataset("rows", data=rows(100), chunks=(10, 256))
    file.close()
    sequence = ArraySequence("data.h5", None, dataset="rows", seed=0, workers=0, memory_limit="100kB")
    sequence[0]
    sequence.close()
    with h5py.File("data.h5", "r+") as file:
        file["rows"][:] = 0

    with pytest.raises(DataError, match=r"'.*data.h5' changed after it was opened. Create the Sequence again"):
        list(sequence)


def test_damaged_chunks_are_skipped_or_named(file):
    dataset = file.create_dataset("rows", data=rows(8), chunks=(2, 256), compression="gzip")
    place = dataset.id.get_chunk_info(2)
    file.close()
    with open("data.h5", "r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(b"\xff" * place.size)
    options = dict(labels=None, dataset="rows", shuffle=False, batch_size=8, memory_limit="18kB", workers=0)

    assert numbers_of(ArraySequence("data.h5", **options, on_error="skip")) == [0, 1, 2, 3, 6, 7]
    with pytest.raises(
        SampleError,
        match=r"Cannot read sample 4, 'row 4 of .*data.h5/rows': OSError: .*Write these rows "
        r"again, or pass on_error=",
    ):
        list(ArraySequence("data.h5", **options))


# The cache


def test_a_cache_is_filled_once_and_shuffles_globally(file):
    file.create_dataset("rows", data=rows(200), chunks=(10, 256))
    file.close()
    sequence = ArraySequence("data.h5", None, dataset="rows", seed=0, cache="cache")
    order = numbers_of(sequence)
    assert order == numbers_of(ArraySequence(rows(200), None, seed=0))
    assert "cache 'cache', filled before the first batch" in repr(sequence)

    slices = Slices(rows(200), chunks=(10, 256))
    cached = ArraySequence(slices, None, seed=0, cache="cache 2")
    assert numbers_of(cached) == order
    slices.read.clear()
    assert numbers_of(ArraySequence(slices, None, seed=0, cache="cache 2")) == order
    assert all(stop - start == 1 for start, stop in slices.read)  # the first and the last row, which are compared


def test_a_cache_of_a_changed_file_is_an_error(file):
    file.create_dataset("rows", data=rows(20), chunks=(10, 256))
    file.close()
    list(ArraySequence("data.h5", None, dataset="rows", cache="cache"))
    with h5py.File("data.h5", "r+") as file:
        file["rows"][5] = 0

    with pytest.raises(DataError, match=r"'.*cache' stores other rows: file was .*Pass overwrite_cache=True"):
        ArraySequence("data.h5", None, dataset="rows", cache="cache")
    renewed = ArraySequence("data.h5", None, dataset="rows", cache="cache", overwrite_cache=True, shuffle=False)
    assert numbers_of(renewed)[4:7] == [4, 0, 6]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_resumes_after_ctrl_c_while_it_is_filled(file, workers, monkeypatch):
    monkeypatch.setattr(chunked, "BLOCK_BYTES", 10 * 1024)
    file.create_dataset("rows", data=rows(200), chunks=(10, 256))
    file.close()
    read, calls = HDF5Rows.read, []

    def interrupted(self, start, stop):
        calls.append((start, stop))
        if len([call for call in calls if call[1] - call[0] > 1]) == 8:  # after the first and the last row
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, start, stop)

    def opened():
        return ArraySequence("data.h5", None, dataset="rows", seed=0, cache="cache", workers=workers)

    monkeypatch.setattr(HDF5Rows, "read", interrupted)
    with sigint_raises(), pytest.raises(KeyboardInterrupt):
        numbers_of(opened())
    before = {call for call in calls if call[1] - call[0] > 1}
    calls.clear()
    monkeypatch.setattr(HDF5Rows, "read", lambda self, *rows: calls.append(rows) or read(self, *rows))

    again = opened()
    assert numbers_of(again) == numbers_of(ArraySequence(rows(200), None, seed=0))
    blocks = [call for call in calls if call[1] - call[0] > 1]
    assert len(blocks) == len(set(blocks)) < 20  # those that were stored before are not read again
    assert {*blocks} | before == {(start, start + 10) for start in range(0, 200, 10)}


WRITER = """
import h5py, numpy as np, sys

with h5py.File("grows.h5", "w", libver="latest") as file:
    rows = file.create_dataset("rows", data=np.ones((20, 4)), chunks=(5, 4), maxshape=(None, 4))
    file.swmr_mode = True
    print("ready", flush=True)
    for number in sys.stdin:
        rows.resize(len(rows) + 20, axis=0)
        rows.flush()
"""


def test_a_file_that_another_program_appends_to_is_refused_by_name(in_tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        with pytest.raises(DataError, match=r"'.*grows.h5': .*open for write.* A file that grows has no fixed rows"):
            ArraySequence("grows.h5", None, dataset="rows")
        with h5py.File("grows.h5", "r", libver="latest", swmr=True) as file:
            with pytest.raises(OptionError, match=r"'.*grows.h5/rows' is open in SWMR mode.*create_dataset\('rows'"):
                ArraySequence(file["rows"], None)
            with h5py.File("copy.h5", "w") as other:
                other.create_dataset("rows", data=file["rows"][:])
        writer.communicate("grow\n", timeout=300)
    finally:
        writer.kill()
        writer.wait()

    assert ArraySequence("copy.h5", None, dataset="rows").num_samples == 20
    assert ArraySequence("grows.h5", None, dataset="rows").num_samples == 40


def test_parts_of_a_split_have_caches_of_their_own(file, in_tmp_path):
    file.create_dataset("rows", data=rows(20), chunks=(10, 256))
    file.close()
    train, val = ArraySequence("data.h5", None, dataset="rows", cache="cache").split(validation_split=0.2)

    assert sorted(numbers_of(train) + numbers_of(val)) == list(range(20))
    assert sorted(path.name for path in (in_tmp_path / "cache").iterdir()) == ["training", "validation"]


def test_without_h5py_the_message_says_what_to_install(file, monkeypatch):
    file.create_dataset("rows", data=rows(2), chunks=(1, 256))
    file.close()
    monkeypatch.setitem(sys.modules, "h5py", None)

    for options in (dict(dataset="rows"), {}):
        with pytest.raises(MissingExtraError, match=r'HDF5 files require h5py: pip install "keras_oocore\[hdf5\]"'):
            ArraySequence("data.h5", None, **options)


@pytest.mark.parametrize("method", ["sampling", "folds"])
def test_rows_in_blocks_are_drawn_and_folded_through_a_cache(method, in_tmp_path):
    def part_of(**options):
        data, labels = Slices(rows(100), chunks=(10, 256)), np.arange(100) % 2
        drawn = dict(sampling="balanced") if method == "sampling" else {}
        whole = ArraySequence(data, labels, batch_size=10, seed=0, **drawn, **options)
        return whole if drawn else whole.folds(4)[0][0]

    with pytest.raises(OptionError, match=f"`{method}` reads rows in any order.*Pass cache=DIR"):
        part_of()[0]
    numbers = [number for x, _ in part_of(cache="cache") for number in x[:, 0].astype(int).tolist()]
    assert len(numbers) == (100 if method == "sampling" else 75)
    assert len({*numbers}) == len(numbers) or method == "sampling"
