"""The program `keras-oocore`, which Ctrl-C may stop while it still imports."""

import sys


def main() -> int:
    """Run one command and return its exit status."""
    try:
        from keras_oocore.cli import main

        return main()
    except KeyboardInterrupt:
        print("keras-oocore: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
