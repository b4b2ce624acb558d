"""`keras-oocore predict`: what a saved model predicts for each file or row, as a CSV or Parquet file."""

import argparse
import json
import os
from fractions import Fraction
from typing import Any

from keras_oocore.commands.arguments import (
    READING_TABLES,
    READING_TYPED,
    add_command,
    add_files,
    add_hdf5,
    add_images,
    add_json,
    add_tables,
    given,
    given_tables,
    refuse_others,
)
from keras_oocore.commands.kinds import TABLE_KINDS, WHAT, Kind, Place, place_of
from keras_oocore.commands.opening import import_sequences, open_sequence, table_columns
from keras_oocore.commands.report import Report, WrongUseError, printing_to_stderr
from keras_oocore.commands.samples import holds_arrays, manifest_of, names_files
from keras_oocore.core.errors import DataError
from keras_oocore.core.text import counted

COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}
LOADING = ("batch_size", "workers")


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "predict",
        run,
        "write what a saved model predicts for each file or row",
        """
        Predict all files or rows with a saved Keras model, and write a table with a row for each of them. If it was
        stopped, type it again: it continues. The size of images is that of the model's input. The exit status is 1 if
        a file cannot be read; its row says why. In Python: ko.predict(model, sequence, to="submission.csv")
        """,
        """
        keras-oocore predict model.keras test --to submission.csv --class-names classes.json
        keras-oocore predict model.keras test --to submission.csv --columns stem=id class=species
        keras-oocore predict model.keras new.csv --load-features features.json --ids id --to prices.parquet
        """,
    )
    command.add_argument("model", help="a model that model.save(...) wrote, such as model.keras")
    command.add_argument("path", help="a folder of images, a manifest, arrays, a packed store, or a table")
    command.add_argument("--to", required=True, metavar="FILE", help="the .csv or .parquet file to write")
    command.add_argument(
        "--columns", nargs="+", metavar="COLUMN", help="columns to write (default: all); COLUMN=NAME renames one"
    )
    command.add_argument(
        "--activation", choices=("softmax", "sigmoid", "none"), help="for a model that ends without one"
    )
    command.add_argument("--batch-size", type=int, metavar="N", help="size of the batches (default: 32; tables: 100)")
    command.add_argument("--workers", type=int, metavar="N", help="number of loading threads (default: one per core)")
    add_files(command)
    add_images(command)
    command.add_argument("--rescale", metavar="FACTOR", help="as in the training, such as 1/255 (default: none)")
    add_tables(command, features=False)
    command.add_argument(
        "--load-features", metavar="FILE", help="what the training rows determined: train.save_features(FILE)"
    )
    command.add_argument("--ids", nargs="+", metavar="COLUMN", help="columns of a table that name its rows")
    add_hdf5(command)
    add_json(command)
    command.set_defaults(after_stop="To continue, run the same command again.")


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    place = place_of(options.path)
    columns = _columns(options.columns)
    typed = given(options, LOADING)
    if options.rescale is not None:
        typed["rescale"] = _factor(options.rescale)
    class_names, options.class_names = _class_names(options.class_names), None  # those of the model
    if not os.path.exists(options.model):
        raise WrongUseError(f"{options.model!r} does not exist. Type the path of a saved model, such as model.keras")
    with printing_to_stderr():
        ko = import_sequences()
        model = _loaded(options.model)
        with _opened(ko, place, options, model, typed) as sequence:
            from keras_oocore.predictions.predict import predict_to

            result = predict_to(model, sequence, options.to, columns, class_names, options.activation)
    lines = [f"{counted(result.num_rows, 'row')} in {options.to}"]
    if result.num_bad:
        what = "row" if place.kind in TABLE_KINDS else "file"
        lines.append(f"{counted(result.num_bad, what)} could not be read: see the column `error`")
    facts = {
        "to": options.to,
        "num_rows": result.num_rows,
        "columns": result.columns,
        "unreadable": result.num_bad,
    }
    return Report("\n".join(lines), facts, found=bool(result.num_bad))


def _columns(words: list[str] | None) -> dict[str, str] | None:
    """Return the option `--columns` as a dictionary: column → its name in the file."""
    if words is None:
        return None
    pairs = [word.rpartition("=") if "=" in word else (word, "", word) for word in words]
    if twice := next((name for name, _, _ in pairs if [pair[0] for pair in pairs].count(name) > 1), None):
        raise WrongUseError(f"--columns should name each column once. Received: {twice!r} twice")
    return {name: new for name, _, new in pairs}


def _factor(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise WrongUseError(f"--rescale should be a number such as 1/255. Received: {text!r}") from None


def _class_names(words: list[str] | None) -> list[str] | None:
    """Return the option `--class-names`, which may be a JSON file with a list."""
    if words is None or len(words) > 1 or not words[0].lower().endswith(".json"):
        return words
    try:
        with open(words[0], encoding="utf-8") as file:
            names = json.load(file)
    except FileNotFoundError:
        raise WrongUseError(f"{words[0]!r} does not exist. Type the names of the classes, or a JSON file.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{words[0]!r} cannot be read as JSON: {error}") from error
    if not isinstance(names, list) or not names:
        raise WrongUseError(f"{words[0]!r} should contain a list of class names, as json.dump(train.class_names, file)")
    return [str(name) for name in names]


def _loaded(path: str) -> Any:
    """Return the model of a file."""
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises nearly any error
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path!r} cannot be loaded as a Keras model: {reason:.300}. A model with layers of your own needs their "
            'code, so predict in Python: ko.predict(model, sequence, to="...")'
        ) from error


def _opened(ko: Any, place: Place, options: argparse.Namespace, model: Any, typed: dict[str, Any]) -> Any:
    """Return the Sequence to predict, in order."""
    if names_files(place, options):
        if not holds_arrays(manifest_of(place, options, needs_labels=False), place.path):
            _set_image_options(options, model)
        return open_sequence(place, options, shuffle=False, **typed)
    if place.kind not in TABLE_KINDS:
        return open_sequence(place, options, shuffle=False, **typed)
    reading = READING_TABLES if place.kind is Kind.CSV else READING_TYPED
    refuse_others(options, (*reading, "no_labels"), place.path, WHAT[place.kind])
    if options.load_features is None:
        raise WrongUseError(
            f"{place.path!r} is {WHAT[place.kind]}: its codes and means are those of the training rows. Save them in "
            'Python, train.save_features("features.json"), and type --load-features features.json'
        )
    features = ko.load_features(options.load_features)
    table = {**given_tables(options, reading), **given(options, ("ids",)), **typed}
    targets = features.targets
    has_target = not options.no_labels and {*targets} <= {*table_columns(place, options)}
    return features.like(place.path, *(() if has_target else (None,)), **table)


def _set_image_options(options: argparse.Namespace, model: Any) -> None:
    """Set the size and the channels of images, unless they were typed, to those of the model's input."""
    import keras

    shape = getattr(model, "input_shape", None)
    shape = shape if isinstance(shape, tuple) and len(shape) == 4 else (None,) * 4
    if keras.config.image_data_format() == "channels_first":
        shape = (shape[0], *shape[2:], shape[1])
    if options.image_size is None:
        if None in shape[1:3]:
            raise WrongUseError(
                f"The input of {options.model!r} has no fixed height and width. Type --image-size HEIGHT WIDTH, as in "
                "the training."
            )
        options.image_size = list(shape[1:3])
    if options.color_mode is None and shape[3] in COLOR_MODES:
        options.color_mode = COLOR_MODES[shape[3]]
