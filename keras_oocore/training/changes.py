"""Finds the options of the data that changed since the checkpoint, and warns that the training continues with them.

Other data, and another batch size or order, are refused: see `resume`.
"""

from typing import Any

from keras_oocore.core.differences import differences
from keras_oocore.core.text import display_path
from keras_oocore.core.warn import warn_user
from keras_oocore.training.stages import TrainingState
from keras_oocore.training.state.checkpoint import Checkpoint

KEY = "options"  # of the state in a checkpoint. Checkpoints of earlier versions do not have it.


def current_options(state: TrainingState) -> dict[str, Any]:
    """Return the options that a checkpoint contains, as plain JSON: of the data, of the validation data and of `fit`.

    Only data that the training has reached is included.
    """
    return {
        "data": {number: data.cursor.options for number, data in state.data().items()},
        "validation_data": {number: data.cursor.options for number, data in state.validation_data().items()},
        "fit": {"class_weight": _plain_weights(state.class_weight)},
    }


def warn_of_changed_options(state: TrainingState, checkpoint: Checkpoint) -> None:
    """Warn once, and name all changed options."""
    before, now = checkpoint.state.get(KEY), current_options(state)
    if before is None:
        return
    changes = []
    for group in ("data", "validation_data"):
        for number, options in now[group].items():
            part = f" of {state.stages[int(number)].title}" if len(now[group]) > 1 else ""
            owner = f"`validation_data`{part}: " if group == "validation_data" else f"the data{part}: " if part else ""
            changes += [owner + change for change in differences(before[group].get(number, options), options)]
    changes += [f"`fit`: {change}" for change in differences(before["fit"], now["fit"])]
    if changes:
        warn_user(
            f"The training in {display_path(checkpoint.path.parent)!r} continues with options that changed: "
            f"{'; '.join(changes)}. The epochs before were trained with the earlier options. To train all epochs with "
            "the same options, choose another directory."
        )


def _plain_weights(class_weight: dict[int, float] | None) -> dict[str, float] | None:
    return None if class_weight is None else {str(index): float(weight) for index, weight in class_weight.items()}
