"""Warnings about columns that make a model worse without an error."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import Column
from keras_oocore.manifest.label_checks import FEW_SAMPLES
from keras_oocore.tables.statistics import ColumnStatistics


def warn_of_suspects(suspects: Mapping[str, str]) -> Collection[str]:
    """Warn once of all features that say little about other rows, and return their names.

    Args:
        suspects: Name of a feature → why it says little.
    """
    if suspects:
        reasons = ", ".join(f"{name!r} ({reason})" for name, reason in suspects.items())
        warn_user(f"Features that say little about other rows: {reasons}. Leave them out: exclude={list(suspects)!r}")
    return suspects.keys()


def warn_of_unused_categories(categorical: Iterable[str], columns: Iterable[Column]) -> None:
    """Warn if `categorical` names columns that are neither features nor targets, because they have no effect."""
    used = {column.name for column in columns}
    unused = [name for name in categorical if name not in used]
    if unused:
        warn_user(f"`categorical` names columns that are not used: {listed(unused)}. Name them in `features`, too.")


def warn_of_index_columns(index_columns: Mapping[str, str | None], used_elsewhere: Collection[str]) -> None:
    """Say which columns are not features, unless the user named them elsewhere.

    Args:
        index_columns: Name of a column → what to say about it, or `None`.
        used_elsewhere: Names of columns that the user named.
    """
    for name, note in index_columns.items():
        if note and name not in used_elsewhere:
            warn_user(note)


def warn_of_leak(features: Sequence[str], targets: Sequence[str]) -> None:
    """Warn if the target is a feature, unless all features are targets, as in an autoencoder."""
    leaked = [name for name in features if name in targets]
    if leaked and set(features) != set(targets):
        warn_user(f"`features` contains the target, {listed(leaked)}: the model sees the answer.")


def warn_of_one_class_per_row(statistics: ColumnStatistics, warned: set[str]) -> None:
    """Warn if no two of 20 or more rows have the same class, and add the column to `warned`, unless it is there."""
    name = statistics.column.name
    if FEW_SAMPLES <= statistics.count == statistics.distinct and name not in warned:
        warned.add(name)
        warn_user(
            f"Target {name!r} has as many classes as rows: each of the {statistics.count:,} rows has a class of its "
            f"own. If they are measured values: dtypes={{{name!r}: 'float32'}}. If they are names or numbers of the "
            "rows, choose another target."
        )


def warn_of_notes(
    columns: Iterable[Column], notes: Mapping[str, Sequence[str]], categorical: Collection[str]
) -> list[str]:
    """Warn of what is unusual about the cells of columns. Return the columns whose numbers are rounded."""
    rounded = []
    for column in columns:
        for note in notes.get(column.name, ()):
            if column.kind == "float32":
                warn_of_loss(column.name, note)
                if "2^24" in note:
                    rounded.append(column.name)
            elif column.name not in categorical:
                warn_user(f"Column {column.name!r} is {note}, or categorical=[{column.name!r}].")
    return rounded


def warn_of_loss(name: str, loss: str) -> None:
    """Warn that a column loses information as `float32`."""
    warn_user(f"Column {name!r} has {loss}. If they are names and not amounts: categorical=[{name!r}]")
