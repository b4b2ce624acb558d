"""What a training restores from its checkpoint, and why it refuses a checkpoint of another training."""

from typing import Any

import keras

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import counted, display_path
from keras_oocore.core.version import __version__
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training import layers
from keras_oocore.training.changes import warn_of_changed_options
from keras_oocore.training.recompile import recompile
from keras_oocore.training.schedule import TrainingPosition
from keras_oocore.training.stages import TrainingState
from keras_oocore.training.state import model as model_state
from keras_oocore.training.state import random as random_state
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.plain_values import from_plain


def move_data(state: TrainingState, checkpoint: Checkpoint) -> None:
    """Check that a checkpoint belongs to this training, and bring the data to their positions in it.

    Raises:
        DataError: If the checkpoint belongs to other data or another kind of training.
        OptionError: If more epochs are done than the training has.
    """
    saved = checkpoint.state
    end_epochs = [stage.end_epoch for stage in state.stages]
    require_same_training(checkpoint, state.kind, end_epochs, state.steps_per_epoch)
    warn_of_other_versions(checkpoint)
    for stage, seed in zip(state.stages, saved["seeds"]):
        stage.data.cursor.adopt_seed(seed)  # the partitions of later stages follow from the seed
    state.position.stage = saved["place"]["stage"]
    titles = [stage.title for stage in state.stages]
    load_positions(state.data(), saved["data"], "The data", titles)
    load_positions(state.validation_data(), saved["validations"], "`validation_data`", titles)
    warn_of_changed_options(state, checkpoint)
    state.record_data_positions()


def resume(state: TrainingState, checkpoint: Checkpoint) -> str:
    """Bring model and history to the state in a checkpoint, after `move_data`.

    Metrics, callbacks and random generators follow when the first epoch and its first batch begin.

    Returns:
        Where the training resumes, in words.

    Raises:
        DataError: If the checkpoint belongs to another model.
    """
    saved, arrays = checkpoint.state, checkpoint.arrays
    reached = TrainingPosition(**saved["place"])
    _enter_stages_again(state, reached.stage, saved["trainable"])
    state.checkpoint, state.position = checkpoint, reached

    paths = saved["variables"] if reached.step else {**saved["variables"], "metrics": []}
    model_state.ensure_stepped(state.model, paths, state.first_batch)
    restore_variables(state)
    state.random = from_plain(saved["random"], arrays)
    history = state.callbacks.history.history = from_plain(saved["history"], arrays)
    notes = [stage.note[0] for stage in state.stages if stage.note]
    state.callbacks.logs = {name: values[-1] for name, values in history.items() if values and name not in notes}
    if reached.stopped and state.end_epoch > saved["epochs"]:
        reached.stopped = False  # asking for more epochs continues the training
    remaining = [stage for stage in state.stages[reached.stage :] if stage.end_epoch > reached.epoch]
    words = position_in_words(reached, state.end_epoch, remaining[0].title if remaining else "")
    return f"Resuming from {display_path(checkpoint.path)!r}: {words}."


def _enter_stages_again(state: TrainingState, last: int, trainable: list[bool]) -> None:
    """Bring the model to its state in a stage, even if it was trained in this process before."""
    for state.position.stage in range(last + 1):
        model_state.ensure_built(state.model, state.first_batch)
        if state.position.stage == 0:
            if layers.set_layer_flags(state.model, trainable):
                recompile(state.model, trainable_changed=True)
            state.check_stages()
        state.stage.enter(state.model)
    state.trainable = trainable


def restore_variables(state: TrainingState, with_metrics: bool = False) -> None:
    """Give the model the variables in the checkpoint.

    Args:
        state: The training, with its checkpoint.
        with_metrics: Whether to restore the metrics. They do not exist before the first step, and between epochs their
            values belong to the epoch before.
    """
    checkpoint = state.checkpoint
    saved = checkpoint.state["variables"]
    paths = {group: paths for group, paths in saved.items() if group != "metrics" or with_metrics}
    owner = f"The checkpoint {display_path(checkpoint.path)!r}"
    model_state.require_same_variables(state.model, paths, checkpoint.arrays, owner)
    model_state.restore(state.model, paths, checkpoint.arrays)
    model_state.restore_buffers(state.model, checkpoint.arrays)


def restore_callbacks(state: TrainingState) -> None:
    """Give the callbacks what they remembered. Call this after `on_train_begin`."""
    state.callback_states.restore(state.checkpoint.state["callbacks"], state.checkpoint.arrays)


def restore_at_first_batch(state: TrainingState) -> bool:
    """Undo what Keras drew at the start of an epoch, and within an epoch, everything that starting it changed.

    Returns:
        Whether the model has the metrics of the checkpoint now.
    """
    if state.random is None:
        return False
    within_epoch = state.position.step > 0
    if within_epoch:
        restore_variables(state, with_metrics=True)
        restore_callbacks(state)
    random_state.restore(state.random)
    state.random = state.checkpoint = None
    return within_epoch


# Whether the checkpoint belongs to this training


def versions() -> dict[str, str]:
    """Return the versions that a training and its checkpoint must share to be bit-identical."""
    return {"keras_oocore": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}


def require_same_training(
    checkpoint: Checkpoint, kind: str, end_epochs: list[int], steps_per_epoch: int | None
) -> None:
    """Raise an error if the checkpoint belongs to a training with other stages, or is further ahead.

    Args:
        checkpoint: The checkpoint.
        kind: Name of the function that trains.
        end_epochs: Epoch at which each stage ends.
        steps_per_epoch: The argument of `fit`.

    Raises:
        DataError: If another function wrote the checkpoint.
        OptionError: If this training never reaches the position in the checkpoint.
    """
    saved, directory = checkpoint.state, display_path(checkpoint.path.parent)
    if saved["kind"] != kind:
        raise DataError(
            f"{directory!r} contains a training by `{saved['kind']}`, but this is a training by `{kind}`. "
            "Choose another directory."
        )
    position = TrainingPosition(**saved["place"])
    if position.epoch > end_epochs[-1]:
        raise OptionError(
            f"{position.epoch} epochs of the training in {directory!r} are already done. Ask for {position.epoch} or "
            f"more, or choose another directory. Received: {counted(end_epochs[-1], 'epoch')}"
        )
    starts = [0, *end_epochs]
    same_stages = saved["ends"] == end_epochs[: position.stage]
    within = position.stage < len(end_epochs) and starts[position.stage] <= position.epoch <= end_epochs[position.stage]
    if not (same_stages and within):
        part = "phase" if kind == "fit_phases" else "part"
        raise OptionError(
            f"The training in {directory!r} is in {part} {position.stage + 1}, with {position.epoch} epochs done, but "
            f"now this {part} covers other epochs. Keep the {part}s that are done as they were, or choose another "
            "directory."
        )
    before = saved["steps_per_epoch"]
    if before != steps_per_epoch and (position.step or position.pass_batches):
        raise OptionError(
            f"The training in {directory!r} stopped within a pass over its data, with steps_per_epoch={before}. Use "
            f"the same value. Received: steps_per_epoch={steps_per_epoch}"
        )


def warn_of_other_versions(checkpoint: Checkpoint) -> None:
    """Warn that the training will not be bit-identical if other versions or another backend wrote the checkpoint."""
    saved = checkpoint.state["versions"]
    others = [f"{name} {saved.get(name)}, now {now}" for name, now in versions().items() if saved.get(name) != now]
    if others:
        warn_user(
            f"The checkpoint {display_path(checkpoint.path)!r} was written with {'; '.join(others)}. Weights, "
            "optimizer, history and the position in the data are restored, but the training is not bit-identical: for "
            "example, dropout draws other numbers."
        )


def load_positions(
    data: dict[str, OutOfCoreSequence], saved: dict[str, dict[str, Any]], owner: str, titles: list[str]
) -> None:
    """Move Sequences to their saved positions.

    Args:
        data: Sequences by the number of their stage.
        saved: What `state_dict()` of each returned, by the number of its stage.
        owner: What a user calls the data.
        titles: What messages call each stage.

    Raises:
        DataError, OptionError: If a Sequence differs from the one in the checkpoint.
    """
    for number, sequence in data.items():
        if number in saved:
            try:
                sequence.load_state_dict(saved[number])
            except (DataError, OptionError) as error:
                part = f" of {titles[int(number)]}" if len(data) > 1 else ""
                raise type(error)(f"{owner}{part} and the checkpoint do not belong together. {error}") from error


def position_in_words(position: TrainingPosition, end_epoch: int, stage: str) -> str:
    """Return how far a training has come. Epochs and batches count from 1, as Keras prints them.

    >>> position_in_words(TrainingPosition(epoch=2, step=7), end_epoch=5, stage="")
    'epoch 3 of 5, batch 8'
    >>> position_in_words(TrainingPosition(epoch=2), end_epoch=5, stage="'fine-tuning'")
    "epoch 3 of 5, in 'fine-tuning'"
    """
    if position.stopped:
        return f"a callback stopped it after epoch {position.epoch} of {end_epoch}; to continue, ask for more epochs"
    if position.epoch >= end_epoch:
        return f"all {end_epoch} epochs are done"
    batch = f", batch {position.step + 1}" if position.step else ""
    return f"epoch {position.epoch + 1} of {end_epoch}{batch}{f', in {stage}' if stage else ''}"
