"""`ko.predict`: predictions beside the files, rows or ids that they belong to."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from keras_oocore.core.checks import choice
from keras_oocore.core.errors import OptionError
from keras_oocore.core.keywords import answers
from keras_oocore.core.text import shown
from keras_oocore.predictions.formats import format_of
from keras_oocore.predictions.groups import chosen_columns, joined, require_columns
from keras_oocore.predictions.predictor import Predictor
from keras_oocore.predictions.table import Predictions
from keras_oocore.predictions.written import Written, predict_into
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.in_order import InOrder

ACTIVATIONS = ("softmax", "sigmoid", "none")


WORDS = {
    "ids": "It is an argument of the Sequence of a table: ids=[COLUMN].",
    "batch_size": "It is an argument of the Sequence.",
    "path": "to",
    "x": "sequence",
    "data": "sequence",
    "verbose": "Leave it out.",
}


@overload
def predict(
    model: Any,
    sequence: OutOfCoreSequence,
    to: None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    class_names: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    activation: Literal["softmax", "sigmoid", "none"] | None = None,
) -> Predictions: ...


@overload
def predict(
    model: Any,
    sequence: OutOfCoreSequence,
    to: str | os.PathLike[str],
    columns: Mapping[str, str] | Sequence[str] | None = None,
    class_names: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    activation: Literal["softmax", "sigmoid", "none"] | None = None,
) -> Path: ...


@answers(WORDS)
def predict(
    model: Any,
    sequence: OutOfCoreSequence,
    to: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    class_names: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    activation: Literal["softmax", "sigmoid", "none"] | None = None,
) -> Predictions | Path:
    """Predict every sample of a Sequence, and keep each prediction beside the file or row that it belongs to.

    Rows are in the order of the files, and every sample has one: whatever `shuffle`, `last_batch` and `on_error` of
    the Sequence are. A file that cannot be read has a row without predictions, whose column `error` says why.

    The columns are:

    - `file`, relative to the folder of the Sequence. For rows of an array or a table, `row`, or the columns of `ids`.
    - `label`, if the Sequence has one label per sample: the name of its class, or a number.
    - `class` and `probability`: the class with the largest probability, and that probability.
    - `error`, for files: an empty string, or why the file cannot be read. Also for a table with `on_bad_row="skip"` or
      `missing="drop"`: rows that are left out are in their place, without a prediction, and `error` says why. (Parts of
      `split` have the rows of the part alone, and rows that `without` leaves out have none. Rows of a CSV file that
      are lost to a misplaced quote have no row here. A warning names their lines.)
    - A column per class with its probability. A class that is called like another column, such as `error`, has the
      column `probability/error`.

    Instead of the columns of classes, a regression has one column `prediction`, or for several targets of a table a
    column per target. For a model with several outputs, all of these are called `output/class`, `output/cat` and so on.

    If a model has one output, and there are two class names, its value is the probability of the second class. (This is
    what a `sigmoid` and `binary_crossentropy` learn from labels of 0 and 1.) Values are never changed unless you pass
    `activation`; a warning says if they are not probabilities.

    With `to`, a thread writes rows while the model predicts. The table is never in memory: this needs less than a tenth
    of the size of a large file. If the process is killed, the same call continues where it was, and the file has the
    same bytes as without the kill.

    Args:
        model: A Keras model. It need not be compiled.
        sequence: A Sequence of this package. A `transform` is applied, also one that is random, so make the Sequence
            without augmentation.
        to: Path of a `.csv` or `.parquet` file to write. It appears when it is complete, and replaces an earlier file.
            Until then, the folder `PATH.parts` beside it has what was predicted. If the weights of the model, the data,
            `columns` or another argument changed since then, the call starts over with a warning.
        columns: A list of the columns to keep, or a dictionary from column to its name in the result, such as
            `{"file": "id", "class": "label"}`. For files, it can also name `"path"` (with the folder), `"name"`
            (without any folder) and `"stem"` (also without the ending); for rows with `ids`, `"row"`.
        class_names: Names of the classes in the order of the outputs of the model. Defaults to those of the Sequence. A
            test folder has none, so pass `train.class_names`. For a model with several outputs, a dictionary from
            output to names. Without names, classes are called `class 0`, `class 1` and so on, if the first batch of
            predictions consists of probabilities.
        activation: `"softmax"` or `"sigmoid"`, to apply to the outputs of a model that ends without one. `"none"` says
            that outputs need not sum to 1, so there is no warning.

    Returns:
        Without `to`, `Predictions`: a dictionary from column to an array, which a notebook shows as a table. With `to`,
        the path.

    Raises:
        OptionError: If an argument is not valid, or the class names do not fit the model.
        SampleError: If no sample can be read.
        DataError: If a table cannot be read.
        DestinationError: If the file cannot be written, such as on a full disk. What was written stays.
        BusyError: If another process is writing the same file.
        MissingExtraError: If `to` is a `.parquet` file, and pyarrow is not installed.

    >>> import keras
    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.layers.Softmax()])
    >>> rows = ko.ArraySequence(np.array([[0, 0], [0, 9], [9, 0]], "float32"), [0, 1, 1], class_names=["cat", "dog"])
    >>> table = ko.predict(model, rows)
    >>> table["label"].tolist(), table["class"].tolist(), table["probability"].round(2).tolist()
    (['cat', 'dog', 'dog'], ['cat', 'dog', 'cat'], [0.5, 1.0, 1.0])
    >>> path = ko.predict(model, rows, to=getfixture("tmp_path") / "dogs.csv", columns={"row": "id", "class": "is"})
    >>> print(path.read_text())
    id,is
    0,cat
    1,dog
    2,cat
    <BLANKLINE>
    """
    if to is not None:
        return predict_to(model, sequence, to, columns, class_names, activation).path
    data = _checked(model, sequence, columns, activation)
    try:
        predictor = Predictor(model, data, class_names, activation, columns)
        chosen = chosen_columns(columns, predictor.all_columns)
        rows = joined(list(predictor.rows(0)))
        predictor.warn_of_bad(predictor.num_bad)
        predictor.warn_of_uncounted()
        samples = data.samples(0, data.num_batches)
        chosen_rows = rows if chosen is None else rows.select(chosen)
        return Predictions(chosen_rows, lambda row: data.picture(int(samples[row])))
    finally:
        data.release()


def predict_to(
    model: Any,
    sequence: Any,
    to: str | os.PathLike[str],
    columns: Mapping[str, str] | Sequence[str] | None = None,
    class_names: Any = None,
    activation: str | None = None,
) -> Written:
    """Predict into a file, as `predict` does, and return what was written."""
    kind = format_of(to, "to")
    data = _checked(model, sequence, columns, activation)
    try:
        return predict_into(Path(to).expanduser(), kind, model, data, columns, class_names, activation)
    finally:
        data.release()


def _checked(model: Any, sequence: Any, columns: Any, activation: str | None) -> InOrder:
    """Check the arguments, and return the samples in their order.

    Raises:
        OptionError: If an argument is not valid.
    """
    if not hasattr(model, "predict_on_batch"):
        raise OptionError(f"`model` should be a Keras model. Received: {shown(model)}")
    if not isinstance(sequence, OutOfCoreSequence):
        raise OptionError(
            "`sequence` should be a Sequence of keras_oocore, such as ko.ImageFolderSequence(...). For an array, use "
            f"ko.ArraySequence(array, labels=None). Received: {shown(sequence)}"
        )
    if activation is not None:
        choice(activation, "activation", ACTIVATIONS)
    if columns is not None:
        require_columns(columns)
    return sequence.in_order()
