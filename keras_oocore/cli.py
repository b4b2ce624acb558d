"""The same from a terminal: `keras-oocore demo`."""

import argparse
import os
import sys

from keras_oocore import demo
from keras_oocore.backend import prefer_installed
from keras_oocore.errors import OutOfCoreError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser("keras-oocore", description="Train Keras models on data larger than memory.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("demo", help="prepare a folder of digits and train on it, end to end")
    command.add_argument("--directory", default=demo.DIRECTORY, help="where all files go (default: %(default)s)")
    command.add_argument(
        "--epochs", type=int, default=demo.EPOCHS, help="passes over the images (default: %(default)s)"
    )
    options = parser.parse_args(arguments)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    prefer_installed()  # likewise before Keras, which the demo imports when it runs
    try:
        demo.run_demo(options.directory, options.epochs)
    except OutOfCoreError as error:
        print(f"keras-oocore: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("keras-oocore: stopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
