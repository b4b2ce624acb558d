"""Checks that a checkpoint contains what a training saves: the keys of its state, their types, and their arrays."""

import dataclasses
from typing import Any

from keras_oocore.training.schedule import TrainingPosition
from keras_oocore.training.state.callbacks import LOG_BYTES
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.plain_values import from_plain

KINDS: dict[str, type] = {
    "kind": str,
    "versions": dict,
    "epochs": int,
    "place": dict,
    "data": dict,
    "validations": dict,
    "ends": list,
    "seeds": list,
    "trainable": list,
    "variables": dict,
    "callbacks": dict,
}


def require_content(checkpoint: Checkpoint) -> None:
    """Check that a training saved this checkpoint, whatever its model and data.

    Raises:
        ValueError, LookupError, TypeError, AttributeError or RecursionError: If a training did not save this.
    """
    saved, arrays = checkpoint.state, checkpoint.arrays
    for key, kind in KINDS.items():
        _require(type(saved[key]) is kind, key, saved[key])
    _require(type(saved["steps_per_epoch"]) in (int, type(None)), "steps_per_epoch", saved["steps_per_epoch"])
    _require_place(saved["place"])
    for key, kind in (("ends", int), ("seeds", int), ("trainable", bool)):
        _require(all(type(value) is kind for value in saved[key]), key, saved[key])
    for group, paths in saved["variables"].items():
        _require(all(type(path) is str for path in paths), "variables", paths)
        _require(all(f"{group}/{number}" in arrays for number in range(len(paths))), "variables", paths)
    history = from_plain(saved["history"], arrays)
    _require(type(history) is dict and all(type(values) is list for values in history.values()), "history", history)
    random = from_plain(saved["random"], arrays)
    _require(type(random) is dict and {"python", "numpy"} <= random.keys(), "random", random)
    for attributes in saved["callbacks"].values():
        for name, plain in attributes.items():
            if name != LOG_BYTES:
                from_plain(plain, arrays)


def _require_place(place: dict[str, Any]) -> None:
    expected = dataclasses.asdict(TrainingPosition())
    same_kinds = {name: type(value) for name, value in place.items()} == {
        name: type(value) for name, value in expected.items()
    }
    _require(same_kinds and all(value >= 0 for value in place.values()), "place", place)


def _require(is_right: bool, key: str, value: object) -> None:
    if not is_right:
        raise ValueError(f"{key!r} is {value!r:.80}")
