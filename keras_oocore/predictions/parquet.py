"""Rows as a Parquet file, with pyarrow."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import write_whole
from keras_oocore.predictions.groups import Rows
from keras_oocore.predictions.parquet_footer import END_BYTES, Footer

GROUPS = 100  # row groups of a large file: writing one takes about four times its size
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
        """Return rows as a file of Arrow: a column per group, and whether each row could be read."""
        import pyarrow as pa

        columns = [_as_one_column(group.values) for group in rows.groups]
        names = [*map(str, range(len(columns))), "readable"]
        batch = pa.RecordBatch.from_arrays([*columns, pa.array(rows.readable)], names)
        out = pa.BufferOutputStream(pa.system_memory_pool())
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
        self._write(path, layout, _rows_of(parts, layout), num_rows)

    def save(self, path: str | os.PathLike[str], rows: Rows) -> None:
        """Write a file of rows in memory."""
        self._write(Path(path), rows, [rows], len(rows.readable))

    def _write(self, path: Path, layout: Rows, pieces: Iterable[Rows], num_rows: int) -> None:
        values = np.clip(num_rows * len(layout.names) // GROUPS, *GROUP_VALUES)
        size = max(1, int(values) // len(layout.names))
        footer = Footer()
        with write_whole(path) as out:
            for rows in _row_groups(pieces, layout, size):
                _write_group(out, footer, rows)
            if not footer.num_groups:
                _write_group(out, footer, layout.between(0, 0))
            footer.write(out)


def _row_groups(pieces: Iterable[Rows], layout: Rows, size: int) -> Iterator[Rows]:
    """Divide rows into groups of `size` rows, in memory that the next group overwrites. The last one may be shorter."""
    buffers = [np.empty((*group.values.shape[1:], size), group.values.dtype) for group in layout.groups]
    readable, stop = np.empty(size, bool), 0

    def filled() -> Rows:
        groups = [group._replace(values=buffer[..., :stop].T) for group, buffer in zip(layout.groups, buffers)]
        return Rows(groups, readable[:stop])

    for piece in pieces:
        while num_rows := len(piece.readable):
            first, stop = stop, min(size, stop + num_rows)
            part = piece.between(0, stop - first)
            for group, buffer in zip(part.groups, buffers):
                buffer[..., first:stop] = group.values.T
            readable[first:stop] = part.readable
            piece = piece.between(stop - first, num_rows)
            if stop == size:
                yield filled()
                stop = 0
    if stop:
        yield filled()


def _write_group(out: IO[bytes], footer: Footer, rows: Rows) -> None:
    """Write a row group, and add it to the footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start, table = out.tell(), pa.Table.from_batches([_batch(rows)])
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


def _rows_of(parts: Sequence[Path], layout: Rows) -> Iterator[Rows]:
    """Read parts. `layout` has the same columns."""
    import pyarrow as pa

    for part in parts:
        with open(part, "rb") as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                *columns, readable = batch.columns
                groups = [group._replace(values=_as_array(column)) for group, column in zip(layout.groups, columns)]
                yield Rows(groups, readable.to_numpy(zero_copy_only=False))


def _as_one_column(values: np.ndarray) -> Any:
    import pyarrow as pa

    if values.dtype == object:
        return pa.array([_valid(value) for value in values.tolist()], pa.string())
    column = pa.array(values.reshape(-1))
    return column if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(column, values.shape[1])


def _as_array(column: Any) -> np.ndarray:
    import pyarrow as pa

    if isinstance(column, pa.FixedSizeListArray):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    return column.to_numpy(zero_copy_only=False)


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
