"""Defines `check`, which finds bad files and rows, copies, and unusual images before training."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from keras_oocore.checks.copies import copies_within, groups_of, leaks_between, link_copies
from keras_oocore.checks.inputs import Input, as_input, endings_in_blocks
from keras_oocore.checks.measured import FORMATS, Measured, occurs_twice
from keras_oocore.checks.notes import not_checked
from keras_oocore.checks.report import CheckReport
from keras_oocore.checks.scan import read_all, stat_files, take_measures
from keras_oocore.checks.tables.check import check_table
from keras_oocore.checks.tables.inputs import is_table
from keras_oocore.checks.tables.report import TableReport
from keras_oocore.checks.unusual import unusual_images
from keras_oocore.core.checks import boolean, positive
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.errors import OptionError
from keras_oocore.core.tasks import as_executor
from keras_oocore.core.text import shown

if TYPE_CHECKING:  # Sequences import Keras
    from keras_oocore.manifest.manifest import Manifest
    from keras_oocore.sequences.labelled import LabelledSequence


@overload
def check(
    data: "Manifest | LabelledSequence",
    against: Any = ...,
    mirrored: bool = ...,
    workers: int | None = ...,
    executor: Executor | None = ...,
) -> CheckReport: ...


@overload
def check(
    data: Any,
    against: Any = ...,
    *,
    workers: int | None = ...,
    target: str | Sequence[str] | None,
    columns: Sequence[str] | None = ...,
) -> TableReport: ...


@overload
def check(  # a path may be that of a table, or of a directory of images: a union would accept the methods of neither
    data: str | os.PathLike[str],
    against: Any = ...,
    mirrored: bool = ...,
    workers: int | None = ...,
    executor: Executor | None = ...,
    *,
    columns: Sequence[str] | None = ...,
) -> Any: ...


@overload
def check(
    data: Any,
    against: Any = ...,
    *,
    workers: int | None = ...,
    columns: Sequence[str] | None = ...,
) -> TableReport: ...


def check(
    data: Any,
    against: Any = None,
    mirrored: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    target: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> CheckReport | TableReport:
    """Find unreadable files and rows, copies, wrong labels, leaks, unusual images and useless columns, before training.

    All files are read once, in threads, with a progress bar. No file is changed. `print` the report, or show it in a
    notebook. Then remove what it found from the manifest, and split by groups, so that copies stay in the same part:

        report = ko.check(manifest)
        clean = manifest.without(report.bad).without(report.duplicates)
        train, val = manifest.split(validation_split=0.2, groups=report.groups, seed=0)

    Exact copies are files of equal content. Near copies are images that were re-encoded, scaled, made brighter or
    darker, or cropped by up to about 5% of width and height. They are found by a 64-bit hash of the picture, and
    compared again by 77 of its frequencies: see `images/picture_hash.py`. Larger crops and rotated copies are not
    found. Of files that are not images, such as `.npy` files, exact copies and unreadable files are found.

    If `data` is a packed store, or a Sequence whose cache is full, the stored pixels are checked and not the files.
    They were measured when they were stored, so most of them are not read again. What they cannot tell is in
    `report.not_checked`.

    Of a table, such as a CSV file, it finds rows that cannot be read, copies of rows, equal rows of different classes,
    rows that are also in `against`, features that tell the target, columns that are constant or nearly unique, missing
    cells, and how the values differ from those of `against`:

        report = ko.check("train.csv", against="test.csv", target="price")
        rows = ko.CSVChunkSequence("train.csv", "price", exclude=list(report.ids | report.constant))

    Rows are equal if a hash of 64 bits of their cells is, without those of ids. Numbers are compared as `float64`. The
    rows that a report shows, those of the first 20 groups, are read again and compared cell by cell. Among the others
    of a table of 100 million rows, the chance of one false pair is less than 1 in 1,000. Apart from that, each table is
    read once. Memory does not grow with the number of rows, except for rows that have copies: the hashes of many rows
    are in a temporary file, with 8 to 20 bytes per row. How the measures are computed is in the modules of
    `checks/tables`.

    Args:
        data: A directory (with or without class folders), a `Manifest`, a saved manifest, a Sequence of files, or the
            directory of a packed store. Or a table: a path, pattern or list of paths of CSV, Parquet or Feather files,
            a DataFrame or a table of pyarrow, or a `TableSequence` or a part of its `split`, of which the used columns
            are checked.
        against: Other data of the same kinds, such as the validation data. `report.leaks` has the files or rows of
            `data` with copies in it. A file is read with the options of `data`.
        mirrored: Whether to find copies with left and right exchanged, too. They may have another class, such as
            an arrow to the left. Defaults to `False`.
        workers: Number of threads. Defaults to the number of CPU cores.
        executor: A `concurrent.futures.Executor` whose workers read the files in place of threads, such as
            `ProcessPoolExecutor`. They see the files under the same paths. The report is the same. Stored rows are read
            in threads all the same, and so are tables. Defaults to `None`.
        target: Of a table: name of the target, or a list of names. A Sequence has its own. Defaults to `None`.
        columns: Of a table: names of the columns that are equal in copies of a row. `None` for all but targets and ids,
            in rows with equal targets.

    Returns:
        A `CheckReport`. For a table, a `TableReport`. Type checkers cannot tell them apart for a path, unless `target`
        is given.

    Raises:
        OptionError: If an argument is not valid, or the executor cannot run the tasks.
        DataError: If a directory does not exist or contains no files.
        ResourceError: If this process has too many open files, or the executor lost a worker.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> picture = Image.radial_gradient("L").rotate(30).crop((60, 90, 240, 250))
    >>> picture.save(folder / "a.png")
    >>> picture.resize((120, 100)).save(folder / "a_small.jpg")
    >>> (folder / "broken.png").write_bytes(b"<html>not found</html>")
    22
    >>> report = check(folder)
    >>> [copies.files for copies in report.duplicates], list(report.bad), report.groups.tolist()
    ([('a.png', 'a_small.jpg')], ['broken.png'], [0, 0, 1])
    """
    started = time.perf_counter()
    mirrored = boolean(mirrored, "mirrored")
    workers = num_cpus() if workers is None else positive(workers, "workers")
    if is_table(data):
        _require_default({"mirrored": mirrored, "executor": executor}, "of files, and `data` is a table")
        return check_table(data, against, target, columns, workers)
    _require_default({"target": target, "columns": columns}, "of tables, and `data` has files")
    inputs = [as_input(data, "data"), *([] if against is None else [as_input(against, "against")])]
    executor = None if executor is None else as_executor(executor)
    both, parts = _measured(inputs, workers, executor)
    first, num_files = inputs[0], len(inputs[0].manifest)
    images = all(one.images for one in inputs)
    links = link_copies(both, images, mirrored and images)
    duplicates = copies_within(links, first, num_files)
    leaks = leaks_between(links, first, inputs[1], num_files) if against is not None else []
    unusual = unusual_images(first, parts[0]) if first.images else {}
    bad = {first.file(i): reason for i, reason in sorted(parts[0].bad.items())}
    named = {*bad, *(name for copies in duplicates for name in copies.files), *(leak.file for leak in leaks)}
    named.update(name for files in unusual.values() for name in files)
    return CheckReport(
        data=first.name,
        against=inputs[1].name if against is not None else None,
        num_files=num_files,
        class_counts=_class_counts(first),
        formats=_formats(first, parts[0]),
        sizes=_sizes(parts[0]),
        bad=bad,
        duplicates=duplicates,
        conflicts=[copies for copies in duplicates if copies.is_conflict],
        leaks=leaks,
        unusual=unusual,
        groups=groups_of(links, num_files),
        not_checked=not_checked(inputs, parts, images, mirrored, links.num_skipped),
        paths=_paths(first, named),
        paths_against=_paths(inputs[1], {leak.other for leak in leaks}) if against is not None else {},
        seconds=time.perf_counter() - started,
    )


def _require_default(options: dict[str, Any], why: str) -> None:
    """Raise for an option that was given.

    Raises:
        OptionError: If one is neither `None` nor `False`.
    """
    for name, value in options.items():
        if value is not None and value is not False:
            raise OptionError(f"`{name}` is an option {why}. Remove it. Received: {name}={shown(value)}")


def _measured(inputs: list[Input], workers: int, executor: Executor | None) -> tuple[Measured, list[Measured]]:
    """Read all files. Return the measures of all, and of each input."""
    ends = [0, *np.cumsum([len(one.manifest) for one in inputs]).tolist()]
    both = Measured(ends[-1])
    parts = [both.part(start, stop) for start, stop in itertools.pairwise(ends)]
    for one, part in zip(inputs, parts):
        stat_files(one, part)
    take_measures(inputs, parts)
    may_be_copy = _may_be_copies(both)
    for one, part, start, stop in zip(inputs, parts, ends, ends[1:]):
        task = "checking" if start == 0 else "checking against"
        read_all(one, part, may_be_copy[start:stop], workers, task, executor)
        both.bad.update({start + i: reason for i, reason in part.bad.items()})
    return both, parts


def _may_be_copies(measured: Measured) -> np.ndarray:
    """Return which files have the size of another one, `bool`, and which rows have the measures of another one."""
    shared = occurs_twice([measured.size_bytes])
    rows = np.flatnonzero(measured.has_picture)
    lowest = np.ascontiguousarray(measured.signatures[rows, :16]).view(np.uint64)
    shared[rows] = occurs_twice([*lowest.T, measured.spread[rows], measured.bright[rows]])
    return shared


def _class_counts(data: Input) -> dict[str, int]:
    if data.classes is None:
        return {}
    values, counts = np.unique(data.classes, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist()))
    indices = range(len(data.manifest.class_names)) if data.manifest.class_names else found
    return {data.name_of_class(index): found.get(index, 0) for index in indices}


def _formats(data: Input, measured: Measured) -> dict[str, int]:
    if data.rows is not None:
        return {}
    if not data.images:
        counts = Counter()
        for endings in endings_in_blocks(data.manifest):
            counts.update(endings)
        return {ending or "without ending": count for ending, count in counts.most_common()}
    counts = np.bincount(measured.formats, minlength=len(FORMATS))
    return {str(FORMATS[k]): int(counts[k]) for k in np.argsort(-counts, kind="stable") if k and counts[k]}


def _sizes(measured: Measured) -> dict[tuple[int, int], int]:
    known = measured.heights > 0
    pairs = measured.heights[known].astype(np.int64) << 32 | measured.widths[known]
    values, counts = np.unique(pairs, return_counts=True)
    most = np.argsort(-counts, kind="stable")
    return {(value >> 32, value & 0xFFFFFFFF): count for value, count in np.stack([values, counts], 1)[most].tolist()}


def _paths(data: Input, names: set[str]) -> dict[str, str]:
    """Return the paths of files by name. Files that are only stored as rows have a path, too, which may not exist."""
    if not names:
        return {}
    folder = data.manifest.current_directory
    return {name: name if folder is None else os.path.join(folder, name) for name in sorted(names)}
