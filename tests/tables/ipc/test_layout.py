"""The metadata of Arrow IPC files tell the rows of each record batch, and damage is noticed."""

import contextlib
import io
import random

import pyarrow as pa
import pytest
from pyarrow import ipc

from keras_oocore.tables.ipc.layout import Batch, LayoutError, batches_of_file, batches_of_stream, is_old_stream

TABLE = pa.table(
    {"a": list(range(100)), "b": [str(i) for i in range(100)], "c": pa.array(["x", "y"] * 50).dictionary_encode()}
)


def written(new, **options):
    """The bytes of the table in record batches of 30 rows."""
    out = io.BytesIO()
    with new(out, TABLE.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(TABLE, max_chunksize=30)
    return out.getvalue()


READ = [(ipc.new_file, batches_of_file), (ipc.new_stream, batches_of_stream)]


@pytest.mark.parametrize(("new", "read"), READ)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lz4"},
        {"compression": "zstd"},
        {"metadata_version": ipc.MetadataVersion.V4},
        {"metadata_version": ipc.MetadataVersion.V4, "use_legacy_format": True},
    ],
    ids=str,
)
def test_rows_and_compression_of_record_batches(new, read, options):
    found = read(memoryview(written(new, **options)))

    assert found == [Batch(rows, "compression" in options) for rows in (30, 30, 30, 10)]


def test_files_of_polars():
    polars = pytest.importorskip("polars")
    frame, out, stream = polars.from_arrow(TABLE), io.BytesIO(), io.BytesIO()
    frame.write_ipc(out, compression="zstd")
    frame.write_ipc_stream(stream)

    assert sum(batch.num_rows for batch in batches_of_file(memoryview(out.getvalue()))) == 100
    assert sum(batch.num_rows for batch in batches_of_stream(memoryview(stream.getvalue()))) == 100


def test_the_first_message_tells_a_stream_of_before_arrow_0_15():
    old = written(ipc.new_stream, use_legacy_format=True)
    assert is_old_stream(memoryview(old))
    draw, others = random.Random(0), [written(ipc.new_stream), written(ipc.new_file), b"", b"a,b\n1,2\n", bytes(1000)]
    others += [draw.randbytes(draw.randint(1, 400)) for _ in range(2000)]
    others += [(100).to_bytes(4, "little") + draw.randbytes(200) for _ in range(2000)]
    assert not any(is_old_stream(memoryview(data)) for data in others)
    for end in range(4, 100):
        assert not is_old_stream(memoryview(old[:end]))


def test_a_stream_may_end_without_a_mark():
    data = written(ipc.new_stream)

    assert batches_of_stream(memoryview(data[:-8])) == batches_of_stream(memoryview(data))


def test_empty_and_truncated_files():
    data = written(ipc.new_file)
    for end in (0, 1, 8, 100, len(data) - 1):
        with pytest.raises(LayoutError, match="its end is missing"):
            batches_of_file(memoryview(data[:end]))
    with pytest.raises(LayoutError, match="truncated"):
        batches_of_stream(memoryview(written(ipc.new_stream)[:-100]))


@pytest.mark.parametrize(("new", "read"), READ)
def test_damaged_bytes_never_raise_another_error(new, read):
    data, draw = written(new), random.Random(0)
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(max(0, len(data) - 900), len(data))] = draw.randrange(256)
        with contextlib.suppress(LayoutError):
            assert all(0 <= batch.num_rows <= 100 for batch in read(memoryview(bytes(damaged))))
