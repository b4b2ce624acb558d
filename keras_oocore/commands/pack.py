"""`keras-oocore pack`: all samples decoded once, as rows of a packed store or of the cache of a table."""

import argparse
import os
from pathlib import Path
from typing import Any

from keras_oocore.commands.arguments import (
    add_command,
    add_files,
    add_images,
    add_json,
    add_processes,
    add_tables,
    executor_of,
    given,
)
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, Place, place_of
from keras_oocore.commands.opening import open_sequence
from keras_oocore.commands.recipes import quoted
from keras_oocore.commands.report import Report, WrongUseError, printing_to_stderr, to_type
from keras_oocore.commands.samples import names_files
from keras_oocore.core.errors import BusyError
from keras_oocore.core.locks import who_locked
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted
from keras_oocore.store.format import StoreRecord

MOST_NAMED = 10  # unreadable files in the text; the JSON has all
PARTS = ("training", "validation")


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "pack",
        run,
        "decode all samples once, into a store that is read at the speed of memory",
        """
        Decode all samples once and store them as rows in DESTINATION. If it was stopped, type it again: it resumes.
        Images and .npy files become a packed store, which needs no files any more: ko.open_packed(DESTINATION). The
        rows of a table become a cache: ko.TableSequence(..., cache=DESTINATION) with the same options, or for CSV
        files ko.CSVChunkSequence.
        """,
        """
        keras-oocore pack plant_seedlings packed --image-size 224
        keras-oocore pack houses.csv cache --target price --missing mean --validation-split 0.2
        """,
    )
    command.add_argument("path", help="class folders, a manifest, arrays of file names, or a table")
    command.add_argument("destination", help="new or empty folder, or one with an unfinished store of these samples")
    command.add_argument("--workers", type=int, metavar="N", help="number of threads (default: one per core)")
    add_processes(command)
    command.add_argument(
        "--on-error",
        choices=("raise", "skip", "replace"),
        help="files that cannot be read: stop, or leave them out (default: raise)",
    )
    command.add_argument("--overwrite-cache", action="store_true", default=None, help="replace an existing store")
    add_files(command)
    add_images(command)
    add_tables(command)
    group = command.add_argument_group("parts of a table")
    group.add_argument(
        "--validation-split",
        type=float,
        metavar="FRACTION",
        help="store DESTINATION/training and DESTINATION/validation",
    )
    group.add_argument("--seed", type=int, help="seed of these parts (default: 0)")
    add_json(command)
    command.set_defaults(after_stop="To continue, run the same command again.")


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    place = place_of(options.path)
    if place.kind in (Kind.STORE, Kind.STORES):
        raise WrongUseError(f"{place.path!r} is packed already. To check it, type: {to_type('verify', place.path)}")
    if place.kind is Kind.ARRAY:
        raise WrongUseError(
            f"{place.path!r} is one array, which is read from its file as fast as from a packed store: "
            f"ko.ArraySequence({place.path!r}, labels)"
        )
    if place.kind in TABLE_KINDS and not names_files(place, options):
        return _pack_table(place, options)
    if options.processes is not None and options.workers is not None:
        raise WrongUseError("--workers is for threads. Type either --workers or --processes.")
    for name in given(options, ("validation_split", "seed")):
        raise WrongUseError(
            f"--{name.replace('_', '-')} is for tables. To pack parts of files, split them first: "
            f"{to_type('split', place.path, 'parts')}, and pack parts/train and parts/validation."
        )
    with (
        printing_to_stderr(),
        open_sequence(place, options, needs_labels=True, **given(options, ("workers", "on_error"))) as sequence,
        executor_of(options) as executor,
    ):
        sequence.pack(options.destination, **given(options, ("overwrite_cache",)), **executor)
        return _report(options.destination, sequence.bad_samples)


def _report(destination: str, bad_samples: list[tuple[str, str]]) -> Report:
    record = StoreRecord.load(Path(destination))
    shape, dtype = record.fields["x"]
    facts = {
        "destination": destination,
        "num_samples": record.num_rows,
        "shape": list(shape),
        "dtype": str(dtype),
        "size_bytes": record.size_bytes,
        "unreadable": dict(bad_samples),
    }
    lines = [
        f"{counted(record.num_rows, 'sample')} of shape {shape} and dtype {dtype} in {destination}, "
        f"{format_bytes(record.size_bytes)}"
    ]
    if bad_samples:
        lines.append(f"{counted(len(bad_samples), 'file')} could not be read:")
        lines += [f"  {name}: {reason}" for name, reason in bad_samples[:MOST_NAMED]]
        lines += [f"  and {len(bad_samples) - MOST_NAMED:,} more"] * (len(bad_samples) > MOST_NAMED)
    skip = ', on_error="skip"' * bool(bad_samples)
    lines += ["", f"In Python: batches = ko.open_packed({quoted(destination)}{skip})"]
    return Report("\n".join(lines), facts, found=bool(bad_samples))


def _pack_table(place: Place, options: argparse.Namespace) -> Report:
    if options.on_error is not None:
        raise WrongUseError("--on-error is for files. For the rows of a table, type --on-bad-row.")
    if options.processes is not None:
        raise WrongUseError("--processes is for files. The rows of a table are read in threads: type --workers.")
    if options.seed is not None and options.validation_split is None:
        raise WrongUseError("--seed is for the parts of --validation-split. Type both, or none.")
    typed = given(options, ("workers", "overwrite_cache"))
    with (
        printing_to_stderr(),
        open_sequence(place, options, needs_labels=True, cache=options.destination, **typed) as rows,
    ):
        parts, folders = [rows], [options.destination]
        if options.validation_split is not None:
            parts = rows.split(options.validation_split, **given(options, ("seed",)))
            folders = [os.path.join(options.destination, name) for name in PARTS]
        for part, folder in zip(parts, folders):
            with part:
                part[0]  # the first batch fills the cache
            _require_filled(folder)
        names = rows.columns
    stored = [(folder, StoreRecord.load(Path(folder))) for folder in folders]
    lines = [
        f"{counted(record.num_rows, 'row')} in {folder}, {format_bytes(record.size_bytes)}" for folder, record in stored
    ]
    facts = {
        "columns": names,
        "stores": {folder: {"num_rows": record.num_rows, "size_bytes": record.size_bytes} for folder, record in stored},
    }
    kind = "CSVChunkSequence" if place.kind is Kind.CSV else "TableSequence"
    call = f"ko.{kind}({quoted(place.path)}, ..., cache={quoted(options.destination)})"
    if options.validation_split is not None:
        call += f".split({options.validation_split}, seed={options.seed or 0})"
    return Report("\n".join([*lines, "", f"In Python, with the same options: {call}"]), facts)


def _require_filled(folder: str) -> None:
    """Check that a cache is complete: if another process fills it, the Sequence reads the files."""
    record = StoreRecord.load(Path(folder))
    if record is None or not record.complete:
        raise BusyError(
            f"{who_locked(folder)} is filling the cache {folder!r}. Wait for it to finish, and type the command again."
        )
