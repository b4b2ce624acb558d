"""Warnings about tables that a Sequence of their rows gives when it is made."""

import math

from keras_oocore.core import storage
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.tables.rows import TableRows

MOST_DECODED = 4  # times per epoch, from which on a warning is due


def warn_of_new_codes(rows: TableRows) -> None:
    """Warn if rows without a target, which a model should predict, have codes or means of their own."""
    features = rows.features
    if features.targets or not features.needs_fit:
        return
    codes = dict.fromkeys(word.column.name for word in features.words if word.is_code)
    what = f"The codes of {listed(codes)}" if codes else "The means that replace missing cells"
    warn_user(
        f"{what} are computed from these rows, which have no target. A model that was trained on other rows has other "
        f"ones. To predict with it: train.like({_data_of(rows)}, target=None); in another process: "
        'ko.load_features("features.json").like(...).'
    )


def _data_of(rows: TableRows) -> str:
    """Return what the user passed as `data`, as code: the first path, or `"data"` for what is in memory or a stream."""
    path = next(iter(rows.table.paths), "")
    return repr(path) if storage.exists(path) else "data"


def warn_of_cut_groups(rows: TableRows) -> None:
    """Warn if a shuffled epoch decodes the same rows again and again, because reading a part of them decodes others.

    The parts in a window of chunks are read one after another, by several threads. So the rows are decoded once per
    window and thread.
    """
    group = rows.table.cut_group
    num_windows = math.ceil(len(rows) / rows.rows_per_window(shuffle=True))
    if group is None or num_windows == 1:
        return
    times = min(group.num_parts, num_windows * rows.num_threads)
    if times >= MOST_DECODED:
        warn_user(
            f"{group.name} is read in {group.num_parts:,} parts, and reading a part decodes others: a shuffled epoch "
            f"decodes them up to {times:,} times. Pass cache=DIR, which stores the rows once, or write the file in "
            f"smaller parts: {group.fix}."
        )
