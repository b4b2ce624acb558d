"""How often each row of a table is drawn per epoch, which requires that the rows are in a cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.ordering.drawn_order import DrawnOrder
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.stored import StoredRows


def sampling_of_rows(
    shared: Mapping[str, Any], rows: TableRows, options: BatchOptions, cache: Path | None
) -> Sampling | None:
    """Return what `sampling` and `samples_per_epoch` say, or `None` if each row is drawn once per epoch.

    Raises:
        OptionError: If an argument is not valid, there is no cache, or the target has no classes to balance.
    """
    sampling = Sampling.of(shared["sampling"], shared["samples_per_epoch"], len(rows), options, each="row")
    if sampling is None:
        return None
    if cache is None:
        raise OptionError(
            "`sampling` draws rows in any order, and without a cache they are parsed in blocks. Pass cache=DIR, which "
            f"stores the rows once. Received: sampling={shown(shared['sampling'])}, cache=None"
        )
    if sampling.weights is None:
        _require_classes(rows.features)
    return sampling


def _require_classes(features: FeatureSpec) -> None:
    """Check that each row has one class.

    Raises:
        OptionError: If it has none, several, or a number.
    """
    classes, targets = features.classes, features.targets
    if classes is not None and classes.separator is None and classes.class_weight != "balanced":
        return
    needs = 'sampling="balanced" requires one class per row'
    if classes is not None and classes.separator is None:
        raise OptionError(
            "`class_weight` and `sampling` would both correct the classes. Pass one of them. Received: "
            'class_weight="balanced"'
        )
    if classes is not None:
        raise OptionError(f"{needs}. Received: label_separator={classes.separator!r}, for several labels")
    if len(targets) != 1:
        raise OptionError(f"{needs}. Received: target={shown(targets or None)}")
    raise OptionError(
        f"{needs}, and target {targets[0]!r} is read as numbers. If its values are classes: "
        f"categorical=[{targets[0]!r}]"
    )


def draws_of_rows(sampling: Sampling, rows: StoredRows, seed: int) -> DrawnOrder:
    """Return the order of the draws.

    Raises:
        OptionError: If all weights are 0.
    """
    classes = rows.word(rows.features.first_target).view(np.int32) if sampling.weights is None else None
    return sampling.order_of(classes, len(rows), seed)


def of_part(sampling: Sampling | None, rows: TableRows, part: TableRows) -> Sampling | None:
    """Return the sampling of the training part of a split: its rows keep their weights."""
    if sampling is None or sampling.weights is None:
        return sampling
    return sampling.select(np.searchsorted(rows.row_numbers(), part.row_numbers()))
