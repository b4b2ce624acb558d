"""The options that several commands share. Their names are those of the arguments in Python, with dashes."""

import argparse
import contextlib
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras_oocore.commands.report import Report, WrongUseError
from keras_oocore.core.checks import positive
from keras_oocore.core.processes import ProcessPool

FILES = ("labels", "no_labels", "directory", "x_col", "y_col", "class_names", "follow_links")
IMAGES = (
    "image_size",
    "color_mode",
    "interpolation",
    "crop_to_aspect_ratio",
    "pad_to_aspect_ratio",
    "dtype",
    "strict",
)
READING_TYPED = ("null_values", "on_bad_row", "dtypes", "num_rows")  # options of tables whose columns have types
DIALECT = (
    *("delimiter", "quotechar", "escapechar", "skip_initial_space", "encoding", "decimal", "thousands", "strip"),
    *("skip_rows", "comment", "header", "column_names", "index_column"),
)
READING_TABLES = (*READING_TYPED, *DIALECT)
COLUMNS = ("target", "features", "exclude", "sample_weight", "dates", "categorical", "missing", "indicator")
TABLES = (*COLUMNS, *READING_TABLES)
HDF5 = ("dataset",)
GROUPS: dict[str, tuple[str, ...]] = {
    "files": FILES,
    "images": IMAGES,
    "tables": (*COLUMNS, *READING_TYPED),
    "CSV files": DIALECT,
    "HDF5 files": HDF5,
}
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
TABULATORS = ("\\t", "tab")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], Report | None], short: str, long: str, example: str
) -> argparse.ArgumentParser:
    """Add a command, and return its parser.

    Args:
        commands: What `add_subparsers` returned.
        name: The word to type.
        run: Function of the options that does the work.
        short: What it does, for the list of all commands.
        long: What it does, for its own help.
        example: A few lines to type, for the end of its help.
    """
    command = commands.add_parser(
        name,
        help=short,
        description=textwrap.dedent(long).strip(),
        epilog="example:\n" + textwrap.indent(textwrap.dedent(example).strip(), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run, parser=command, after_stop="")
    return command


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print the result as JSON, for a program")


def add_processes(command: argparse.ArgumentParser) -> None:
    """Add `--processes`."""
    command.add_argument("--processes", type=int, metavar="N", help="read the files in N processes instead of threads")


@contextlib.contextmanager
def executor_of(options: argparse.Namespace) -> Iterator[dict[str, ProcessPool]]:
    """Yield the argument `executor` for `--processes`, if it was typed. The processes end with the block.

    Raises:
        OptionError: If the number of processes is not positive.
    """
    if options.processes is None:
        yield {}
        return
    with ProcessPool(positive(options.processes, "processes")) as executor:
        yield {"executor": executor}


def add_files(command: argparse.ArgumentParser) -> None:
    """Add the options that say which samples exist, and their labels."""
    group = command.add_argument_group("files and labels")
    group.add_argument("--labels", metavar="FILE.npy", help="one label per file, a .npy file")
    group.add_argument("--no-labels", action="store_true", default=None, help="samples without labels")
    group.add_argument("--directory", metavar="DIR", help="directory that file names are relative to")
    group.add_argument("--x-col", metavar="COLUMN", help="column of a CSV file with the file names")
    group.add_argument("--y-col", metavar="COLUMN", help="column of a CSV file with the classes")
    group.add_argument("--class-names", nargs="+", metavar="NAME", help="classes in the order of their indices")
    _switch(group, "--follow-links", "visit directories that symbolic links point to")


def add_hdf5(command: argparse.ArgumentParser) -> None:
    """Add the option of HDF5 files."""
    group = command.add_argument_group("HDF5 files")
    group.add_argument("--dataset", metavar="NAME", help="the dataset whose rows are samples, such as train/images")


def add_images(command: argparse.ArgumentParser) -> None:
    """Add the options of reading images."""
    group = command.add_argument_group("images")
    group.add_argument(
        "--image-size", nargs="+", type=int, metavar="N", help="height and width, or one number (default: 256)"
    )
    group.add_argument("--color-mode", choices=("rgb", "rgba", "grayscale"), help="channels (default: rgb)")
    group.add_argument("--interpolation", metavar="NAME", help=f"{', '.join(INTERPOLATIONS)} (default: bilinear)")
    _switch(group, "--crop-to-aspect-ratio", "crop images instead of distorting them")
    _switch(group, "--pad-to-aspect-ratio", "pad images instead of distorting them")
    group.add_argument("--dtype", help="uint8, or uint16 or float32 for images of 16 bits per channel")
    _switch(group, "--strict", "count a JPEG that its decoder warns about as unreadable")


def add_tables(command: argparse.ArgumentParser, features: bool = True) -> None:
    """Add the options of tables: their columns (`features`), and how CSV files are written."""
    group = command.add_argument_group("tables")
    if features:
        group.add_argument("--target", nargs="+", metavar="COLUMN", help="column to predict")
        group.add_argument("--features", nargs="+", metavar="COLUMN", help="columns to use (default: all others)")
        group.add_argument("--exclude", nargs="+", metavar="COLUMN", help="columns that are not features")
        group.add_argument("--sample-weight", metavar="COLUMN", help="column of sample weights")
        group.add_argument(
            "--dates", nargs="+", metavar="COLUMN=PART,PART", help="parts of dates as features, such as year,weekday"
        )
        group.add_argument("--categorical", nargs="+", metavar="COLUMN", help="columns of numbers that are categories")
        group.add_argument(
            "--missing", nargs="+", metavar="WORD", help="error, nan, mean, drop, or COLUMN=VALUE (default: error)"
        )
        _switch(group, "--indicator", "add a feature per numeric feature: 1 if its cell is missing")
    group.add_argument("--dtypes", nargs="+", metavar="COLUMN=TYPE", help="float32, bool, string or a date format")
    group.add_argument(
        "--null-values", nargs="+", metavar="TEXT", help="strings that mean a missing cell; ... for the usual ones"
    )
    group.add_argument("--num-rows", type=int, metavar="N", help="use the first N rows only, for a first try")
    group.add_argument("--on-bad-row", choices=("error", "skip"), help="rows that cannot be read (default: error)")
    group = command.add_argument_group("CSV files")
    group.add_argument(
        "--delimiter", help="character between cells (default: a comma); \\t for a tabulator, '\\s+' for spaces"
    )
    group.add_argument("--quotechar", help='quote around cells (default: "); none if a quote is text everywhere')
    group.add_argument("--escapechar", metavar="CHARACTER", help="makes the next character text")
    _switch(group, "--skip-initial-space", "ignore spaces after a delimiter")
    group.add_argument("--encoding", help="encoding of the files (default: utf-8)")
    group.add_argument("--decimal", help="decimal separator, . or , (default: .)")
    group.add_argument("--thousands", metavar="CHARACTER", help="what separates thousands, such as a comma")
    group.add_argument("--strip", nargs="+", metavar="TEXT", help="signs and units around numbers, such as '$€' or USD")
    group.add_argument("--skip-rows", type=int, metavar="N", help="number of lines before the header (default: 0)")
    group.add_argument("--comment", metavar="CHARACTER", help="skip lines that begin with it")
    group.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether the first row names the columns (default: yes)"
    )
    group.add_argument("--column-names", nargs="+", metavar="NAME", help="names in place of those of the header")
    group.add_argument("--index-column", metavar="COLUMN", help="column of row names, or an index: never a feature")


def _switch(group: Any, flag: str, text: str) -> None:
    group.add_argument(flag, action="store_true", default=None, help=text)


def given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the options of these names that were typed, as arguments of Python."""
    typed = {name: vars(options).get(name) for name in names}
    return {name: value for name, value in typed.items() if value is not None}


def given_images(options: argparse.Namespace) -> dict[str, Any]:
    """Return the typed options of images, as arguments of `ImageFolderSequence`."""
    typed = given(options, IMAGES)
    if "image_size" in typed:
        typed["image_size"] = typed["image_size"][0] if len(typed["image_size"]) == 1 else tuple(typed["image_size"])
    return typed


def given_tables(options: argparse.Namespace, names: Iterable[str] = TABLES) -> dict[str, Any]:
    """Return the typed options of tables, as arguments of `CSVChunkSequence`."""
    typed = given(options, names)
    if len(typed.get("target", ())) == 1:
        typed["target"] = typed["target"][0]
    if typed.get("delimiter") in TABULATORS:
        typed["delimiter"] = "\t"
    if typed.get("quotechar") == "none":
        typed["quotechar"] = None
    if "null_values" in typed:
        typed["null_values"] = [... if text == "..." else text for text in typed["null_values"]]
    if len(typed.get("strip", ())) == 1 and not any(map(str.isalnum, typed["strip"][0])):
        typed["strip"] = typed["strip"][0]
    if "dates" in typed:
        pairs = (word.partition("=") for word in typed["dates"])
        typed["dates"] = {name: parts.split(",") if equals else None for name, equals, parts in pairs}
    if "dtypes" in typed:
        typed["dtypes"] = dict(_pair(word, "--dtypes") for word in typed["dtypes"])
    if "missing" in typed and any("=" in word for word in typed["missing"]):
        typed["missing"] = {name: _number(text) for name, text in (_pair(w, "--missing") for w in typed["missing"])}
    elif "missing" in typed:
        typed["missing"] = " ".join(typed["missing"])
    return typed


def refuse_others(options: argparse.Namespace, allowed: Iterable[str], path: str, what: str) -> None:
    """Check that no option was typed that has no effect on this data.

    Args:
        options: The options.
        allowed: Names of the options that apply.
        path: The data.
        what: What the data is, such as `"a CSV file"`.

    Raises:
        WrongUseError: If one was.
    """
    for group, names in GROUPS.items():
        for name in given(options, names):
            if name not in allowed:
                raise WrongUseError(
                    f"--{name.replace('_', '-')} is an option of {group}, and {path!r} is {what}. Type the command "
                    "without it."
                )


def _pair(word: str, flag: str) -> tuple[str, str]:
    name, equals, value = word.rpartition("=")
    if not (name and equals):
        raise WrongUseError(f"{flag} should be COLUMN=VALUE, such as {flag} bedrooms=3. Received: {word!r}")
    return name, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WrongUseError(f"--missing should be COLUMN=NUMBER. Received: {text!r} is not a number") from None
