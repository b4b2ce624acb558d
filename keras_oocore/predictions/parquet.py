"""Rows as a Parquet file, with pyarrow."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import write_whole
from keras_oocore.predictions.groups import Rows
from keras_oocore.predictions.parquet_footer import END_BYTES, Footer

GROUPS = 64  # row groups of a large file: writing one takes about three times its size
WHOLE = 2**30
GROUP_VALUES = (50_000, 4_000_000)  # the smallest and the largest row group


class ParquetFormat:
    """The format of `.parquet` files. A part is a file of Arrow, which is read without being decoded.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """

    part_suffix = "arrow"

    def __init__(self):
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtraError('Parquet requires pyarrow: pip install "keras_oocore[csv]"') from error

    def encode(self, rows: Rows) -> memoryview:
        """Return rows as a file of Arrow."""
        import pyarrow as pa

        batch, out = _batch(rows), pa.BufferOutputStream(pa.system_memory_pool())
        with pa.ipc.new_stream(out, batch.schema) as writer:
            writer.write_batch(batch)
        return memoryview(out.getvalue())

    def join(self, path: Path, parts: Sequence[Path], layout: Rows, num_rows: int) -> None:
        """Write a file from its parts. Its row groups do not depend on how the rows are divided into parts.

        Args:
            path: The file, which is written whole.
            parts: The parts in their order.
            layout: Rows with its columns.
            num_rows: Number of rows of the file.
        """
        self._write(path, layout, _batches_of(parts), num_rows)

    def save(self, path: str | os.PathLike[str], rows: Rows) -> None:
        """Write a file of rows in memory."""
        self._write(Path(path), rows, iter([_batch(rows)]), len(rows.readable))

    def _write(self, path: Path, layout: Rows, batches: Iterator[Any], num_rows: int) -> None:
        import pyarrow as pa

        values = np.clip(num_rows * len(layout.names) // GROUPS, *GROUP_VALUES)
        size = max(1, int(values) // len(layout.names))
        schema, footer = _batch(layout).schema, Footer()
        with write_whole(path) as out:
            waiting: list[Any] = []
            num_waiting = 0
            for batch in batches:
                while num_waiting + len(batch) >= size:
                    waiting.append(batch.slice(0, size - num_waiting))
                    batch = batch.slice(size - num_waiting)
                    _write_group(out, footer, pa.Table.from_batches(waiting))
                    waiting, num_waiting = [], 0
                if len(batch):
                    waiting.append(batch)
                    num_waiting += len(batch)
            if waiting or not footer.num_groups:
                _write_group(out, footer, pa.Table.from_batches(waiting, schema))
            footer.write(out)


def _write_group(out: IO[bytes], footer: Footer, table: Any) -> None:
    """Write a row group, and add it to the footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = out.tell()
    options = dict(
        use_dictionary=[field.name for field in table.schema if field.type == pa.string()],  # numbers hardly repeat
        write_statistics=False,
        data_page_size=WHOLE,  # where pages end would depend on the parts
        dictionary_pagesize_limit=WHOLE,
        memory_pool=pa.system_memory_pool(),
    )
    with pq.ParquetWriter(out, table.schema, **options) as writer:
        writer.write_table(table, row_group_size=max(1, len(table)))
    footer.add(_taken_footer(out), start)
    pa.default_memory_pool().release_unused()  # mimalloc keeps what it used for each column


def _taken_footer(out: IO[bytes]) -> bytes:
    """Remove the footer from the end of a file, and return it."""
    out.flush()
    with open(out.name, "rb") as file:
        end = file.seek(-END_BYTES, os.SEEK_END)
        size = int.from_bytes(file.read(4), "little")
        file.seek(end - size)
        footer = file.read(size)
    out.seek(end - size)
    out.truncate()
    return footer


def _batches_of(parts: Sequence[Path]) -> Iterator[Any]:
    import pyarrow as pa

    for part in parts:
        with open(part, "rb") as file, pa.ipc.open_stream(file) as reader:
            yield from reader


def _batch(rows: Rows) -> Any:
    """Return rows as a `RecordBatch`. Predictions of rows that cannot be read are missing."""
    import pyarrow as pa

    arrays = []
    for group in rows.groups:
        mask = ~rows.readable if group.predicted and not rows.readable.all() else None
        for number in range(len(group.names)):
            values = group.column(number)
            if values.dtype == object:
                values = [_valid(value) for value in values.tolist()]
                arrays.append(pa.array(values, pa.string()))
            else:
                arrays.append(pa.array(np.ascontiguousarray(values), mask=mask))
    fields = [pa.field(name, array.type) for name, array in zip(rows.names, arrays)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _valid(text: str | None) -> str | None:
    """Return a string that Parquet can store: what is not valid UTF-8 is escaped."""
    return None if text is None else text.encode(errors="backslashreplace").decode()
