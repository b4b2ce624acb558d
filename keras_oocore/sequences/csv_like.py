"""The arguments of `like`, for CSV files that are read as those of the training rows were."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.sequences.arguments import require_known
from keras_oocore.tables.csv.first_row import is_header
from keras_oocore.tables.csv.table import READING_OPTIONS, CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.learned import Learned

NUM_ROWS = "num_rows"  # which other rows do not share
OF_COLUMNS = ("sample_weight", "ids")  # options of columns that other rows may have differently
Options = TypeVar("Options", Dialect, CellOptions)


def other_rows(
    learned: Learned, data: Any, target: Any, options: Mapping[str, Any], constructor: Any
) -> tuple[Callable[..., CSVTable], Callable[[CSVTable], FeatureSpec], dict[str, Any]]:
    """Return how to open the table, how to make its features, and the shared arguments.

    Args:
        learned: What the training rows determine.
        data: The files.
        target: The user's argument: `...` for the target of the training rows, or `None`.
        options: The user's other arguments.
        constructor: The class of the Sequence, which has the shared arguments and their defaults.

    Raises:
        OptionError: If an argument is not valid, or is one that the training rows determine.
    """
    shared = {**constructor.__init__.shared_defaults, "shuffle": False}
    _require_options(options, {*READING_OPTIONS, *OF_COLUMNS, NUM_ROWS, *shared}, constructor)
    with_target = _has_target(target, learned)
    reading = {**learned.reading, **{name: options[name] for name in (*READING_OPTIONS, NUM_ROWS) if name in options}}
    reading["header"] = is_header(reading["header"])
    columns = {name: options[name] for name in OF_COLUMNS if name in options}
    table = functools.partial(
        CSVTable, data, _taken(Dialect, reading), _taken(CellOptions, reading), **reading, known=learned.columns
    )
    shared.update({name: value for name, value in options.items() if name in shared})
    return table, lambda table: learned.features_of(table, with_target, **columns), shared


def _require_options(options: Mapping[str, Any], known: Collection[str], constructor: Any) -> None:
    """Raise for an option that does not exist, or that the training rows determine."""
    determined = [name for name in options if name not in known and name in inspect.signature(constructor).parameters]
    if options.get("sample_weight") is not None:
        determined.append("sample_weight")
    if determined:
        name = determined[0]
        raise OptionError(
            f"`like` uses `{name}` of the training rows. Remove it, or make the Sequence of the training rows with it. "
            f"Received: {name}={options[name]!r:.60}"
        )
    require_known(options, sorted(known), "`like`")


def _has_target(target: Any, learned: Learned) -> bool:
    """Return whether other rows have the target."""
    trained = learned.layout.chosen.target
    if target is ... or target is None:
        return target is ... and trained is not None
    if (target if isinstance(target, str) else list(target)) != trained:
        expected = "None" if trained is None else f"None, or that of the training rows, {trained!r}"
        raise OptionError(f"`target` should be {expected}. Received: target={target!r}")
    return True


def _taken(kind: type[Options], options: dict[str, Any]) -> Options:
    """Return a dataclass with the options that are its fields, which are removed from the dictionary."""
    return kind(**{field.name: options.pop(field.name) for field in dataclasses.fields(kind) if field.name in options})
