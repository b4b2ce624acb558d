"""A slow reference for the scan of CSV files: one byte after the other, in every dialect."""

import re

from hypothesis import strategies as st

from keras_oocore.csv.dialect import Dialect

PIECES = [*"ab ,|\t\n\r#\"'\\", '"\n', '""', ',"', '",', ', "', "\r\n", '\\"', "\\\n", "  "]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)  # in which every character may have a meaning
LINE_END = re.compile(rb"\r\n|\n|\r")


def dialects(delimiters=(",", ",", "|", " ", r"\s+"), comments=(None, "#")):
    """Strategy of dialects of files without a header."""
    return st.builds(
        lambda **options: Dialect(
            **{**options, "skip_initial_space": options["skip_initial_space"] and options["delimiter"] != " "}
        ),
        delimiter=st.sampled_from(delimiters),
        header=st.just(False),
        comment=st.sampled_from(comments),
        quotechar=st.sampled_from(['"', '"', "'", None]),
        escapechar=st.sampled_from([None, "\\"]),
        skip_initial_space=st.booleans(),
    )


def wrong_quote(data, position, dialect):
    """The end of the record at `position`, and the field in it whose quotes are wrong, or None."""
    quote, escape = (None if char is None else ord(char) for char in (dialect.quotechar, dialect.escapechar))
    edges, size = b"\r\n" + dialect.delimiters, len(data)
    while True:
        opening = position
        while b" " not in dialect.delimiters and data[opening : opening + 1] == b" ":
            opening += 1
        if opening < size and data[opening] == quote:
            if opening > position and not dialect.skip_initial_space:
                return opening, opening
            position = opening + 1
            while position < size:
                if data[position] == escape:
                    position += 2
                elif data[position] != quote:
                    position += 1
                elif position + 1 < size and data[position + 1] == quote:
                    position += 2
                else:
                    break
            if position >= size:
                return size, opening
            position += 1
            if position < size and data[position] not in edges:
                return position, opening
        else:
            while position < size and data[position] not in edges:
                position += 2 if data[position] == escape else 1
        if position >= size or data[position] not in dialect.delimiters:
            return min(position, size), None
        position += 1


def reference(data, dialect):
    """Rows as (start, line, text) and bad rows as (line, start, stop)."""
    position, line, rows, bad = 0, 1, [], []
    comment = None if dialect.comment is None else dialect.comment.encode()
    while position < len(data):
        begin = position
        while dialect.delimiter == r"\s+" and data[position : position + 1] in (b" ", b"\t"):
            position += 1
        if position == len(data):
            break
        end = LINE_END.search(data, position)
        after_line = end.end() if end else len(data)
        if end and end.start() == position:
            pass
        elif data[position : position + 1] != comment:
            stop, field = wrong_quote(data, position, dialect)
            if field is None:
                rows.append((position, line, data[position:stop]))
                end = LINE_END.match(data, stop)
                after_line = end.end() if end else len(data)
            else:
                end = LINE_END.search(data, field)
                after_line = end.end() if end else len(data)
                bad.append((line + len(LINE_END.findall(data, position, field)), position, after_line))
        line += len(LINE_END.findall(data, begin, after_line))
        position = after_line
    return rows, bad


def reference_starts(rows, bad, size_bytes, chunk_bytes):
    """Where the chunks begin, and the end of the file."""
    starts, row_starts = [start for start, _, _ in rows][:1], [start for start, _, _ in rows]
    while starts and starts[-1] + chunk_bytes < size_bytes:
        limit = starts[-1] + chunk_bytes
        within = [start for start in row_starts if starts[-1] < start <= limit]
        if not within or any(within[-1] < start <= limit for _, start, _ in bad):
            within = [start for start in row_starts if start > limit][:1]
        if not within:
            break
        starts.append(within[-1])
    return [*starts, size_bytes]
