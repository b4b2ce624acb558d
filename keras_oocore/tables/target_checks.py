"""Checks of the arguments that require a target of classes: `label_mode`, `label_separator` and `class_weight`."""

import numbers
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.tables.options import ColumnOptions, LabelMode

LABEL_MODES = (*get_args(LabelMode), None)
OPTIONS = ("label_mode", "label_separator", "class_weight")  # of `ColumnOptions` that require a target of classes


def require_options(options: ColumnOptions, num_targets: int) -> None:
    """Check the options that require a target of classes.

    Raises:
        OptionError: If one is not valid, or does not fit the others.
    """
    if options.label_mode not in LABEL_MODES:
        raise OptionError(f"`label_mode` should be one of {LABEL_MODES}. Received: label_mode={options.label_mode!r}")
    separator, weight = options.label_separator, options.class_weight
    if separator is not None and not (isinstance(separator, str) and separator):
        raise OptionError(f"`label_separator` should be a string such as '|'. Received: label_separator={separator!r}")
    if weight is not None and not (weight == "balanced" if isinstance(weight, str) else _are_weights(weight)):
        raise OptionError(
            f'`class_weight` should be a dictionary from class to weight, or "balanced". Received: {weight!r}'
        )
    for name in _given(options):
        if num_targets != 1:
            raise OptionError(f"`{name}` requires one `target`. Received: target={options.target!r}")
    if weight is not None and options.sample_weight is not None:
        raise OptionError(
            "`sample_weight` and `class_weight` cannot both be given. Multiply them into the column of `sample_weight`."
        )
    if separator is not None and options.label_mode is not None:
        raise OptionError(
            "`label_separator` gives a y of 0 and 1 for each class. Leave out `label_mode`. "
            f"Received: label_mode={options.label_mode!r}"
        )
    if separator is not None and weight is not None:
        raise OptionError("`class_weight` requires one class per row. With `label_separator`, use `sample_weight`.")


def require_classes(column: str, options: ColumnOptions) -> None:
    """Raise for options that require classes, if the target is a column of numbers."""
    for name in _given(options):
        raise OptionError(
            f"`{name}` requires classes, and target {column!r} is read as numbers. If its values are classes: "
            f"categorical=[{column!r}]. Received: {name}={getattr(options, name)!r}"
        )


def _given(options: ColumnOptions) -> list[str]:
    """Return the names of the options for classes that are given."""
    return [name for name in OPTIONS if getattr(options, name) is not None]


def _are_weights(weights: Any) -> bool:
    """Whether an argument is a dictionary from names or indices of classes to numbers that are not negative."""
    return isinstance(weights, Mapping) and all(
        isinstance(name, str | numbers.Integral) and isinstance(value, numbers.Real) and 0 <= value < np.inf
        for name, value in weights.items()
    )
