"""`keras-oocore profile`: how long each step of loading a batch takes, and which option would help."""

import argparse
import contextlib
import io
from typing import Any

from keras_oocore.commands.arguments import add_command, add_files, add_hdf5, add_images, add_json, add_tables, given
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, place_of
from keras_oocore.commands.opening import open_sequence
from keras_oocore.commands.report import Report, WrongUseError
from keras_oocore.commands.samples import names_files

LOADING = ("batch_size", "workers", "memory_limit", "max_queue_size", "shuffle")


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "profile",
        run,
        "show how long each step of loading a batch takes, and how to speed it up",
        """
        Load batches as fast as possible, and show how long reading, decoding, resizing and parsing take, and which
        option would help. In Python: sequence.profile()
        """,
        """
        keras-oocore profile plant_seedlings --image-size 224 --batch-size 32
        keras-oocore profile houses.csv --target price --missing mean
        keras-oocore profile scans.h5 --dataset train/images
        """,
    )
    command.add_argument("path", help="class folders, a manifest, arrays, a packed store, a table or an HDF5 file")
    command.add_argument("--batch-size", type=int, metavar="N", help="size of the batches (default: 32; tables: 100)")
    command.add_argument("--workers", type=int, metavar="N", help="number of loading threads (default: one per core)")
    command.add_argument("--memory-limit", metavar="SIZE", help='limit of all batches in flight, such as "128MB"')
    command.add_argument("--max-queue-size", type=int, metavar="N", help="most batches made ahead (default: 10)")
    command.add_argument("--shuffle", choices=("block",), help="read runs of neighbors, for disks that seek slowly")
    command.add_argument("--num-batches", type=int, metavar="N", help="number of batches to time (default: 50)")
    command.add_argument("--cache", metavar="DIR", help="read through this cache, and fill it")
    add_files(command)
    add_images(command)
    add_tables(command)
    add_hdf5(command)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    place = place_of(options.path)
    can_cache = names_files(place, options) or place.kind in (*TABLE_KINDS, Kind.HDF5)
    if options.cache and not can_cache:
        raise WrongUseError(f"--cache is for files, tables and HDF5 files, and {place.path!r} is a {place.kind}.")
    typed = given(options, (*LOADING, "cache"))
    printed = io.StringIO()  # the table, which the report has
    with contextlib.redirect_stdout(printed), open_sequence(place, options, **typed) as sequence:
        profile = sequence.profile(**given(options, ("num_batches",)))
    facts = {
        "num_batches": profile.num_batches,
        "num_samples": profile.num_samples,
        "seconds": profile.seconds,
        "samples_per_second": profile.samples_per_second,
        "seconds_per_batch": profile.seconds_per_batch,
        "settings": vars(profile.settings),
        "advice": profile.advice,
        "errors": list(profile.errors),
    }
    return Report(str(profile), facts)
