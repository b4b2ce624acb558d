"""`keras-oocore demo`: one example from end to end, with images or with a CSV file."""

import argparse
from typing import Any

from keras_oocore.commands.arguments import add_command
from keras_oocore.commands.opening import choose_backend
from keras_oocore.demo import DIRECTORY, IMAGE_EPOCHS, TABLE_EPOCHS


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "demo",
        run,
        "prepare a folder of images or a CSV file, and train a model on it",
        """
        Prepare 1,797 images of digits, or a CSV file of 442 patients, train a small network on them, and print the
        paths of all files.
        """,
        """
        keras-oocore demo
        keras-oocore demo --csv --epochs 5
        """,
    )
    command.add_argument("--csv", action="store_true", help="use a CSV file of patients instead of images of digits")
    command.add_argument("--directory", default=DIRECTORY, help="directory for all files (default: %(default)s)")
    command.add_argument(
        "--epochs", type=int, help=f"number of epochs (default: {IMAGE_EPOCHS}; with --csv {TABLE_EPOCHS})"
    )
    command.set_defaults(after_stop="To continue, run the same command again.")


def run(options: argparse.Namespace) -> None:
    """Run the command, which prints its results as it goes."""
    choose_backend()
    from keras_oocore.demo import images, table

    train = table.run_demo_csv if options.csv else images.run_demo
    train(options.directory, **({} if options.epochs is None else {"epochs": options.epochs}))
