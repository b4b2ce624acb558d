"""How the outputs of a model become columns: classes with probabilities, or numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted, listed, shown
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.label_strings import SUM_TOLERANCE
from keras_oocore.predictions.groups import Group

Activation = Literal["softmax", "sigmoid"]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        name: Its name, or an empty string if the model has only one output.
        names: Names of the classes, or of the numbers.
        kind: `"classes"` for a probability per class, `"binary"` for the probability of the second of two classes,
            `"numbers"` for anything else.
        width: Number of values per row.
        activation: What is applied to the values first, or `None`.
        sums_to_1: Whether the probabilities of a row should sum to 1.
    """

    name: str
    names: tuple[str, ...]
    kind: Literal["classes", "binary", "numbers"]
    width: int
    activation: Activation | None
    sums_to_1: bool

    @property
    def prefix(self) -> str:
        """What the names of its columns begin with."""
        return f"{self.name}/" if self.name else ""

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the columns of the classes or numbers, of shape `(n, len(names))`."""
        values = activated(values, self.activation)
        return np.concatenate([1 - values, values], axis=1) if self.kind == "binary" else values

    def top(self, probabilities: np.ndarray) -> list[Group]:
        """Return the class with the largest probability, and that probability."""
        if self.kind == "numbers":
            return []
        best = probabilities.argmax(axis=1)
        found = probabilities[np.arange(len(best)), best]
        names = np.array([*self.names, None], object)
        classes = names[np.where(np.isnan(found), -1, best)]
        return [
            Group((f"{self.prefix}class",), classes, predicted=True),
            Group((f"{self.prefix}probability",), found, predicted=True),
        ]

    def doubt(self, probabilities: np.ndarray) -> str:
        """Return why the values may not be probabilities, or an empty string."""
        if self.kind == "numbers" or not len(probabilities):
            return ""
        where = f"The output {self.name!r}" if self.name else "The output of the model"
        wrong = ~((probabilities >= -SUM_TOLERANCE) & (probabilities <= 1 + SUM_TOLERANCE))
        if wrong.any():
            first = probabilities[wrong][0]
            advice = "sigmoid" if self.kind == "binary" else "softmax"
            return (
                f"{where} has values such as {first:.4g}, which are not probabilities. They are written as they are. "
                f'If the model has no activation at its end, pass activation="{advice}".'
            )
        sums = probabilities.sum(axis=1, dtype=np.float64)
        far = ~(np.abs(sums - 1) <= SUM_TOLERANCE)
        if self.sums_to_1 and far.any():
            return (
                f"{where} does not sum to 1 per row, but to values such as {sums[far][0]:.4g}. They are written as "
                'they are. If these are not probabilities, pass activation="softmax". If a sample may have several '
                'classes, pass activation="none".'
            )
        return ""


def activated(values: np.ndarray, activation: Activation | None) -> np.ndarray:
    """Return probabilities from logits. With `None`, return the values as they are.

    >>> activated(np.array([[0.0, 0.0], [1000.0, 0.0]], "float32"), "softmax").tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    if activation is None:
        return values
    logits = values.astype(np.float64)
    if activation == "softmax":
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(values.dtype)
    return (0.5 * (1 + np.tanh(logits / 2))).astype(values.dtype)


def named_outputs(predicted: Any, model: Any) -> dict[str, np.ndarray]:
    """Return the arrays that a model returned by name, each of shape `(n, k)`. A single one has the name `""`.

    Raises:
        OptionError: If an output is not a row of numbers per sample.
    """
    if isinstance(predicted, Mapping):
        found = {str(name): values for name, values in predicted.items()}
    elif isinstance(predicted, list | tuple):
        names = list(getattr(model, "output_names", None) or [])
        if len(names) != len(predicted) or len(set(names)) != len(names):
            names = [f"output {number}" for number in range(len(predicted))]
        found = dict(zip(names, predicted))
    else:
        found = {"": predicted}
    if len(found) == 1:
        found = {"": next(iter(found.values()))}
    return {name: _as_rows(name, values) for name, values in found.items()}


def _as_rows(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype not in FLOATS:
        values = values.astype(np.float32)  # also of float16 and bfloat16
    shape = values.shape[1:]
    width = int(np.prod(shape))
    if len(shape) > 1 and width != max(shape):
        where = f"output {name!r}" if name else "output"
        raise OptionError(
            f"`predict` makes a row of numbers per sample. Received: an {where} of shape {shape} per sample. For "
            "images, masks or sequences, use `model.predict(sequence)` and `sequence.served_paths`."
        )
    return values.reshape(len(values), width)


def outputs_of(
    found: Mapping[str, np.ndarray],
    class_names: Any,
    known_classes: Sequence[str] | None,
    targets: Sequence[str],
    several_labels: bool,
    activation: str | None,
) -> list[Output]:
    """Return what each output of a model means.

    Args:
        found: What the model returned for the first batch: name → array of shape `(n, k)`.
        class_names: The argument of the user.
        known_classes: Classes of the Sequence, or `None`.
        targets: Names of the numbers that the Sequence has as targets, or an empty list.
        several_labels: Whether a sample may have several classes.
        activation: The argument of the user.

    Raises:
        OptionError: If the names of classes do not fit the outputs.
    """
    given = _given_names(class_names, found)
    outputs = []
    for name, values in found.items():
        kind, names = _meaning(name, values, given.get(name), known_classes, targets, activation, len(found) > 1)
        if activation == "softmax" and kind == "binary":
            raise OptionError('`activation="softmax"` requires an output per class. For one output, pass "sigmoid".')
        applied = activation if activation in ("softmax", "sigmoid") and not _leaves(kind, activation, values) else None
        sums = kind == "classes" and not several_labels and activation not in ("sigmoid", "none")
        outputs.append(Output(name, names, kind, values.shape[1], applied, sums))
    return outputs


def _leaves(kind: str, activation: str, values: np.ndarray) -> bool:
    """Whether an activation leaves an output as it is: a softmax is for classes alone."""
    return kind == "numbers" and (activation == "softmax" or values.shape[1] > 1)


def _given_names(class_names: Any, found: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the argument `class_names` as a dictionary from output to names."""
    if class_names is None:
        return {}
    if isinstance(class_names, Mapping):
        unknown = [name for name in class_names if name not in found]
        if unknown and len(found) == 1:
            raise OptionError(
                "`class_names` should be a list, in the order of the class indices, such as train.class_names. "
                f"Received: {shown(class_names)}"
            )
        if unknown:
            raise OptionError(
                f"`class_names` should have the names of the outputs of the model: {listed(found)}. Received: "
                f"{unknown[0]!r}"
            )
        by_output = dict(class_names)
    elif len(found) > 1:
        raise OptionError(
            "For a model with several outputs, `class_names` should be a dictionary from output to names. The outputs "
            f"are {listed(found)}. Received: class_names={class_names!r:.200}"
        )
    else:
        by_output = {"": class_names}
    return {name: _names(names) for name, names in by_output.items()}


def _names(class_names: Any) -> list[str]:
    if isinstance(class_names, str):
        raise OptionError(f"`class_names` should be a list of names. Received: class_names={class_names!r}")
    names = [str(name) for name in class_names]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"`class_names` should name each class once. Received: {twice!r} twice")
    return names


def _meaning(
    name: str,
    values: np.ndarray,
    given: list[str] | None,
    known: Sequence[str] | None,
    targets: Sequence[str],
    activation: str | None,
    is_one_of_several: bool,
) -> tuple[Any, tuple[str, ...]]:
    """Return the kind of an output, and the names of its classes or numbers."""
    width = values.shape[1]
    names = known if given is None else given
    if names is not None and len(names) == width and width > 1:
        return "classes", tuple(names)
    if names is not None and len(names) == 2 and width == 1:
        return "binary", tuple(names)
    if given is not None or (known is not None and width > 1 and not is_one_of_several):
        where = f"output {name!r} of the model" if name else "model"
        whose = "`class_names`" if given is not None else "the data"
        raise OptionError(
            f"The {where} has {counted(width, 'value')} per sample, and {whose} "
            f"{counted(len(names), 'class')}: {listed(names)}. Pass the classes that the model was trained with, in "
            "their order: class_names=train.class_names"
        )
    if width == 1:
        return "numbers", ("prediction",)
    if len(targets) == width:
        return "numbers", tuple(targets)
    if activation is not None or _are_shares(values):
        return "classes", tuple(f"class {number}" for number in range(width))
    return "numbers", tuple(f"prediction {number}" for number in range(width))


def _are_shares(values: np.ndarray) -> bool:
    within = (values >= 0).all() and (values <= 1 + SUM_TOLERANCE).all()
    return bool(within and (np.abs(values.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE).all())


def warn_of_doubts(outputs: Sequence[Output], found: Sequence[np.ndarray]) -> bool:
    """Warn of the first output that may not have probabilities. Return whether there was one."""
    doubts = [doubt for output, values in zip(outputs, found) if (doubt := output.doubt(values))]
    if doubts:
        warn_user(doubts[0])
    return bool(doubts)
