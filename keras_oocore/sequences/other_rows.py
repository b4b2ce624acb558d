"""The arguments of `like`, for other data that are read as those of the training rows were."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.arguments import require_known
from keras_oocore.sequences.table_arguments import RowArguments
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.formats import format_of
from keras_oocore.tables.learned import Learned
from keras_oocore.tables.opening import Opening

NUM_ROWS = "num_rows"  # which other rows do not share
OF_COLUMNS = ("sample_weight", "ids")  # options of columns that other rows may have differently


def other_rows(
    learned: Learned, data: Any, target: Any, options: Mapping[str, Any], constructor: Any
) -> tuple[Callable[[Opening], TableFormat], Callable[[TableFormat], FeatureSpec], dict[str, Any]]:
    """Return how to open the table, how to make its features, and the shared arguments.

    Args:
        learned: What the training rows determine.
        data: The data.
        target: The user's argument: `...` for the target of the training rows, or `None`.
        options: The user's other arguments.
        constructor: The class of the Sequence, which has the shared arguments and their defaults.

    Raises:
        OptionError: If an argument is not valid, or is one that the training rows determine.
    """
    form = format_of(data)
    defaults = constructor.__init__.shared_defaults
    shared = {**{name: defaults[name] for name in RowArguments.__annotations__}, "shuffle": False}
    _require_options(options, {*form.options, *OF_COLUMNS, NUM_ROWS, *shared}, constructor)
    with_target = _has_target(target, learned)
    reading = {**learned.reading, **{name: options[name] for name in form.options if name in options}}
    columns = {name: options[name] for name in OF_COLUMNS if name in options}

    def open_table(opening: Opening) -> TableFormat:
        of_rows = dict(reading=reading, num_rows=options.get(NUM_ROWS), known=learned.columns)
        return form.open(data, dataclasses.replace(opening, **of_rows))

    shared.update({name: value for name, value in options.items() if name in shared})
    return open_table, lambda table: learned.features_of(table, with_target, **columns), shared


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
