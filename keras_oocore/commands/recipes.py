"""Writes the few lines of Python that train a first model from data that a command found."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

IMAGE_LAYERS = (
    "keras.layers.Rescaling(1 / 255)",
    'keras.layers.Conv2D(32, 3, strides=2, activation="relu")',
    'keras.layers.Conv2D(64, 3, strides=2, activation="relu")',
    "keras.layers.GlobalAveragePooling2D()",
)
DENSE = 'keras.layers.Dense(64, activation="relu")'
IMPORTS = "import keras\nimport keras_oocore as ko\n"
SPLIT, SEED = 0.2, 0
SMALLEST_IMAGE = 8  # height and width that two strided convolutions need


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The last layer of a model, and its loss.

    Attributes:
        units: Code for the number of units.
        num_classes: The number of classes, or `0` for measured values.
    """

    units: str
    num_classes: int = 0

    @property
    def layer(self) -> str:
        """Code of the last layer."""
        return f"keras.layers.Dense({self.units}{', activation=' + quoted('softmax') if self.num_classes else ''})"

    @property
    def compile(self) -> str:
        """Code that compiles the model."""
        if self.num_classes:
            return 'model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])'
        return 'model.compile("adam", "mean_squared_error")'


def quoted(text: str) -> str:
    r"""Return text as a Python string in double quotes, as the code of this package has them.

    >>> print(quoted('a "b".csv'), quoted("Straße"))
    "a \"b\".csv" "Straße"
    """
    escaped = json.dumps(text, ensure_ascii=False)
    return escaped if text.isprintable() else ascii(text)


def opened(call: str, num_samples: int, counts: Sequence[int] = ()) -> list[str]:
    """Return the lines that open data and divide it into `train` and, if there are enough samples, `val`.

    Args:
        call: Code that opens it, such as `ko.open_packed("packed")`.
        num_samples: Number of samples.
        counts: Number of samples of each class, if the labels are classes.
    """
    num_validation = math.ceil(SPLIT * num_samples)
    if num_samples < 2:
        return [f"train = {call}"]
    counts = [count for count in counts if count]
    can_stratify = min(counts, default=0) > 1 and num_validation >= len(counts) <= num_samples - num_validation
    stratify = ", stratify=True" if can_stratify else ""
    return [f"batches = {call}", f"train, val = batches.split(validation_split={SPLIT}, seed={SEED}{stratify})"]


class Beside(NamedTuple):
    """Features beside the rows, which a model receives as a second input.

    Attributes:
        rows_name: Name of the rows in `x`.
        num_features: Number of features.
    """

    rows_name: str
    num_features: int


def training(
    lines: Sequence[str],
    shape: Sequence[int],
    outputs: Outputs,
    first_layers: Sequence[str] = (),
    beside: Beside | None = None,
) -> str:
    """Return code that trains a small model.

    Args:
        lines: Lines that define `train` and perhaps `val`.
        shape: Shape of a sample.
        outputs: The outputs of the model.
        first_layers: Code of layers after the input. Defaults to layers that fit the shape.
        beside: The features beside the rows, or `None`.
    """
    is_image = len(shape) == 3 and shape[-1] in (1, 3, 4) and min(shape[:2]) >= SMALLEST_IMAGE
    hidden = (
        [*first_layers, DENSE]
        if first_layers
        else list(IMAGE_LAYERS)
        if is_image
        else [*["keras.layers.Flatten()"] * (len(shape) != 1), DENSE]
    )
    model = _model(shape, hidden, outputs) if beside is None else _model_of_two(shape, hidden, outputs, beside)
    has_validation = any("val" in line.split(" = ")[0].split(", ") for line in lines)
    return "\n".join(
        [
            IMPORTS,
            *lines,
            *model,
            outputs.compile,
            f"model.fit(train, {'validation_data=val, ' * has_validation}epochs=10)",
        ]
    )


def _model(shape: Sequence[int], hidden: Sequence[str], outputs: Outputs) -> list[str]:
    layers = [f"keras.Input({tuple(shape)})", *hidden, outputs.layer]
    return ["model = keras.Sequential([", *(f"    {layer}," for layer in layers), "])"]


def _model_of_two(shape: Sequence[int], hidden: Sequence[str], outputs: Outputs, beside: Beside) -> list[str]:
    name = beside.rows_name
    return [
        f'{name} = keras.Input({tuple(shape)}, name="{name}")',
        f'features = keras.Input(({beside.num_features},), name="features")  # scale them if their ranges differ',
        "hidden = keras.Sequential([",
        *(f"    {layer}," for layer in hidden),
        "])",
        f"joined = keras.layers.Concatenate()([hidden({name}), features])",
        f'model = keras.Model({{"{name}": {name}, "features": features}}, {outputs.layer}(joined))',
    ]


def predicting(call: str, note: str) -> str:
    """Return code that predicts samples without labels.

    Args:
        call: Code that opens them in order.
        note: What row i of the predictions is.
    """
    return "\n".join(
        [
            IMPORTS,
            'model = keras.saving.load_model("model.keras")  # your trained model',
            f"batches = {call}",
            f"predicted = model.predict(batches)  # row i is {note}",
        ]
    )
