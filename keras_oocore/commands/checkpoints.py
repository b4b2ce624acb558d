"""Describes and checks the checkpoints of a training. Keras is imported only then, because that takes seconds."""

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import Place
from keras_oocore.commands.opening import choose_backend
from keras_oocore.core.text import counted

if TYPE_CHECKING:
    from keras_oocore.training.state.checkpoint import Checkpoint


def latest_checkpoint(path: str) -> tuple["Checkpoint", list[str]]:
    """Return the newest complete checkpoint, whose bytes are all compared with checksums, and what is damaged.

    Raises:
        DataError: If no checkpoint is complete, or a newer version wrote one.
    """
    choose_backend()
    from keras_oocore.training.state.checkpoints import Checkpoints

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoint = Checkpoints(Path(path), keep=1).latest()
    return checkpoint, [str(warning.message) for warning in caught if "is damaged" in str(warning.message)]


def describe_checkpoints(place: Place, _: argparse.Namespace) -> Description:
    """Describe the newest checkpoint of a training."""
    checkpoint, damaged = latest_checkpoint(place.path)
    state = checkpoint.state
    position, size_bytes = state["place"], sum(array.nbytes for array in checkpoint.arrays.values())
    facts = {
        "latest": checkpoint.path.name,
        "function": state["kind"],
        "epochs": state["epochs"],
        "epoch": position["epoch"],
        "step": position["step"],
        "versions": state["versions"],
        "size_bytes": size_bytes,
        "damaged": damaged,
    }
    done = position["epoch"] >= state["epochs"]
    where = f"epoch {position['epoch'] + 1} of {state['epochs']}, after {counted(position['step'], 'batch')} of it"
    if done:
        where = f"{state['epochs']} of {state['epochs']} epochs are done"
    lines = [
        f"{checkpoint.path.name} of ko.{state['kind']}: {where}",
        ", ".join(f"{name} {version}" for name, version in state["versions"].items()),
        *damaged,
    ]
    how = "continue with more `epochs`" if done else "resume"
    advice = f"To {how}, run the same script again, with checkpoint={place.path!r}."
    return Description(lines, facts, advice=advice, found=bool(damaged))
