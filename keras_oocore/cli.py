"""The same from a terminal: `keras-oocore demo`."""

import argparse
import os
import sys

from keras_oocore.backend import prefer_installed
from keras_oocore.errors import OutOfCoreError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser("keras-oocore", description="Train Keras models on data larger than memory.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="prepare a folder of digits and train on it, end to end")
    demo.add_argument("--directory", default="keras_oocore_demo", help="where all files go (default: %(default)s)")
    demo.add_argument("--epochs", type=int, default=12, help="passes over the images (default: %(default)s)")
    options = parser.parse_args(arguments)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    prefer_installed()
    from keras_oocore.demo import run_demo

    try:
        run_demo(options.directory, options.epochs)
    except OutOfCoreError as error:
        print(f"keras-oocore: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("keras-oocore: stopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
