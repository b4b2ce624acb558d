"""Checks of the arguments that choose columns."""

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

import numpy as np

from keras_oocore.core.checks import distinct
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import LISTED_NAMES, listed, shown
from keras_oocore.csv.cells import LARGEST_FLOAT32, Column
from keras_oocore.tables.options import Missing

POLICIES = get_args(Missing)


def as_names(names: str | Sequence[str], argument: str) -> list[str]:
    """Return an argument that is a name or several names as a list.

    Raises:
        OptionError: If it is neither, or a name occurs more than once.
    """
    if isinstance(names, str):
        return [names]
    several = list(names) if isinstance(names, Iterable) else [names]  # including the `columns` of a DataFrame
    if not all(isinstance(name, str) for name in several):
        raise OptionError(f"`{argument}` should be the name of a column, or a list of names. Received: {shown(names)}")
    return distinct(several, argument)


def checked_missing(
    missing: Missing | Mapping[str, float], column: Callable[[str, str], Column]
) -> Missing | dict[str, float]:
    """Return the argument `missing` once it is checked.

    Args:
        missing: The argument.
        column: Function from the names of a column and of an argument to the column.

    Raises:
        OptionError: If it is not valid.
    """
    if isinstance(missing, Mapping):
        for name, value in missing.items():
            is_number = isinstance(value, numbers.Real) and (not abs(value) > LARGEST_FLOAT32 or np.isinf(value))
            if not is_number or column(name, "missing").kind == "string":
                raise OptionError(
                    "`missing` should give numbers that float32 can represent, for columns that are not strings. "
                    f"Received: missing={{{name!r}: {value!r}}}"
                )
        return {name: float(value) for name, value in missing.items()}
    if missing not in POLICIES:
        raise OptionError(
            f"`missing` should be one of {POLICIES}, or {{column: value}}. Received: missing={shown(missing)}"
        )
    return missing


def strings_as_features(names: Sequence[str], notes: Mapping[str, Sequence[str]]) -> OptionError:
    """Return the error for columns of strings that the user did not name as features.

    Args:
        names: Names of the columns.
        notes: Column whose cells look like numbers → what is known about them.
    """
    known = "".join(f"Column {name!r} is {note}. " for name in notes for note in notes[name])
    some = f"{names[:LISTED_NAMES]!r}" if len(names) <= LISTED_NAMES else "[...]"
    return OptionError(
        f"Columns hold strings: {listed(names)}. {known}Choose the features, features=[...]; or leave these out, "
        f"exclude={some}; or encode the strings, categorical={some}; or give the format of dates, "
        f"dtypes={{{names[0]!r}: '%Y-%m-%d'}}."
    )
