"""The arguments that the three training functions share: their types, defaults and documentation, written once."""

import inspect
import typing
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.shared_arguments import shares_arguments
from keras_oocore.core.text import did_you_mean, shown

Function = TypeVar("Function", bound=Callable)


class TrainingArguments(TypedDict, total=False):
    """Types of the shared arguments."""

    save_every_batches: int | None
    keep: int
    validation_data: Any
    callbacks: list[keras.callbacks.Callback] | keras.callbacks.CallbackList | None
    verbose: str | int
    steps_per_epoch: int | None
    class_weight: dict[int, float] | None
    validation_steps: int | None
    validation_batch_size: int | None
    validation_freq: int | list[int]


DEFAULTS: dict[str, Any] = {
    "save_every_batches": None,
    "keep": 2,
    "validation_data": None,
    "callbacks": None,
    "verbose": "auto",
    "steps_per_epoch": None,
    "class_weight": None,
    "validation_steps": None,
    "validation_batch_size": None,
    "validation_freq": 1,
}
DOCUMENTATION = """\
        save_every_batches: Save after this many batches, and at the end of each epoch, whatever it costs. By default,
            a checkpoint is written at the end of each epoch and, in a long epoch, every minute, but never so often
            that saving takes more than a twentieth of the time. Of several processes, the first decides, and saves the
            metrics of all.
        keep: Number of checkpoints to keep. The newest is used, or an older one if the newest is damaged. Defaults to
            `2`.
        validation_data: As in `fit`.
        callbacks: As in `fit`. Attributes of a callback are saved if they are numbers, strings, arrays, or lists and
            dictionaries of these. A warning names the others. Variables that a function closes over are not saved. A
            callback with `state_dict()` and `load_state_dict(state)` saves itself.
        verbose: As in `fit`. `0` prints only that a signal was received.
        steps_per_epoch, class_weight, validation_steps, validation_batch_size, validation_freq: As in `fit`.
"""
MARK = "        **arguments: Shared by the three functions.\n"
DECIDED = {  # arguments of `fit` that are decided elsewhere → what to type
    "x": "Pass a Sequence, which has x and y.",
    "y": "Pass a Sequence, which has x and y.",
    "initial_epoch": "The checkpoint says where the training resumes. Leave it out.",
    "batch_size": "Pass it to the Sequence.",
    "validation_split": "Split the data: train, val = data.split(validation_split=0.2). Pass validation_data=val.",
    "sample_weight": "Pass it to the Sequence.",
    "shuffle": "Pass it to the Sequence.",
    "epochs": "`epochs` of each phase, or `passes` and `epochs_per_partition`, say how long the training is.",
}


def with_training_arguments(function: Function) -> Function:
    """Show the shared arguments in the signature and in the docstring of a function that takes them as `**arguments`.

    >>> @with_training_arguments
    ... def fit_twice(model, **arguments: typing.Unpack[TrainingArguments]): ...
    >>> list(inspect.signature(fit_twice).parameters)[:3]
    ['model', 'save_every_batches', 'keep']
    """
    shared = shares_arguments(typing.get_type_hints(TrainingArguments), DEFAULTS, check_names)(function)
    shared.__doc__ = (shared.__doc__ or "").replace(MARK, DOCUMENTATION)
    return shared


def check_names(arguments: dict[str, Any], function: Callable[..., Any]) -> None:
    """Raise an error if `function` has no argument of a name, and neither has `fit` of this version of Keras.

    Raises:
        OptionError: If there is no such argument, with the nearest name, or it cannot be chosen here.
    """
    own = inspect.signature(function).parameters
    known = {**inspect.signature(keras.Model.fit).parameters, **own}
    known.pop("self")
    for name, value in arguments.items():
        if name in own:
            continue
        if name in DECIDED:
            raise OptionError(
                f"`{function.__name__}` has no argument `{name}`. {DECIDED[name]} Received: {name}={shown(value)}"
            )
        if name not in known:
            raise OptionError(
                f"`{function.__name__}` has no argument `{name}`.{did_you_mean(name, known)} Received: {name}={value!r}"
            )
