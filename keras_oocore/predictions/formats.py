"""Chooses the format of a file of predictions by its ending."""

import os
from typing import Any

from keras_oocore.core.errors import OptionError
from keras_oocore.predictions.csv_rows import CSVFormat


def format_of(path: str | os.PathLike[str], argument: str = "path") -> Any:
    """Return the format of a file.

    Args:
        path: The file.
        argument: Name of the argument, for the message.

    Raises:
        OptionError: If its ending is not `.csv` or `.parquet`.
        MissingExtraError: If it requires pyarrow, which is not installed.
    """
    try:
        suffix = os.path.splitext(os.fspath(path))[1].lower()
    except TypeError as error:
        raise OptionError(f"`{argument}` should be the path of a file. Received: {path!r:.200}") from error
    if suffix == ".csv":
        return CSVFormat()
    if suffix == ".parquet":
        from keras_oocore.predictions.parquet import ParquetFormat

        return ParquetFormat()
    raise OptionError(
        f"`{argument}` should end with .csv or .parquet. Received: {argument}={os.fspath(path)!r}. For example: "
        "submission.csv"
    )
