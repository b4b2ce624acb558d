"""Defines the command line: `keras-oocore demo`, `keras-oocore demo --csv` and `keras-oocore profile`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

import keras_oocore as ko
from keras_oocore.core.backend import prefer_installed
from keras_oocore.core.errors import OutOfCoreError
from keras_oocore.demo import images as demo
from keras_oocore.demo import table as demo_csv
from keras_oocore.sources.cache import is_packed

if TYPE_CHECKING:
    from keras_oocore.sequences.packed import PackedSequence


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser("keras-oocore", description="Train Keras models on data larger than memory.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("demo", help="prepare a folder of images or a CSV file, and train a model on it")
    command.add_argument("--csv", action="store_true", help="use a CSV file of patients instead of images of digits")
    command.add_argument("--directory", default=demo.DIRECTORY, help="directory for all files (default: %(default)s)")
    command.add_argument(
        "--epochs",
        type=int,
        help=f"number of epochs (default: {demo.EPOCHS}; with --csv {demo_csv.EPOCHS})",
    )
    command.set_defaults(run=run_demo, after_stop="To continue, run the same command again.")
    command = commands.add_parser(
        "profile", help="show how long each step of loading a batch takes, and how to speed it up"
    )
    command.add_argument("directory", help="a directory with one folder of images per class, or a packed store")
    command.add_argument(
        "--image-size",
        type=int,
        default=224,
        help="height and width of the images (default: %(default)s); not used for a packed store",
    )
    command.add_argument("--batch-size", type=int, default=32, help="size of the batches (default: %(default)s)")
    command.add_argument("--workers", type=int, help="number of loading threads (default: one per core)")
    command.add_argument("--num-batches", type=int, default=50, help="number of batches to time (default: %(default)s)")
    command.set_defaults(run=run_profile, after_stop="")
    options = parser.parse_args(arguments)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    prefer_installed()  # before Keras, which each command imports when it runs
    try:
        options.run(options)
    except OutOfCoreError as error:
        print(f"keras-oocore: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"keras-oocore: stopped. {options.after_stop}", file=sys.stderr)
        return 130
    return 0


def run_demo(options: argparse.Namespace) -> None:
    """Run `keras-oocore demo`."""
    run = demo_csv.run_demo_csv if options.csv else demo.run_demo
    chosen = {} if options.epochs is None else {"epochs": options.epochs}
    run(options.directory, **chosen)


def run_profile(options: argparse.Namespace) -> None:
    """Run `keras-oocore profile DIRECTORY`."""
    with opened(options) as sequence:
        sequence.profile(options.num_batches)


def opened(options: argparse.Namespace) -> "ko.ImageFolderSequence | PackedSequence":
    """A Sequence of the images or the packed store in a directory."""
    if is_packed(options.directory):
        return ko.open_packed(options.directory, batch_size=options.batch_size, workers=options.workers)
    return ko.ImageFolderSequence(
        options.directory, image_size=options.image_size, batch_size=options.batch_size, workers=options.workers
    )


if __name__ == "__main__":
    sys.exit(main())
