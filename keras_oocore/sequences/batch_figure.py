"""Turns a batch into pictures with captions: images, spectrograms, masks, labels, file names and predictions."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.label_strings import label_strings, prediction_strings
from keras_oocore.manifest.labels import Labels
from keras_oocore.plots.images import Caption, Pictures, picture_grid
from keras_oocore.plots.masks import classes_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGE_CHANNELS = (1, 3, 4)
MOST_CLASSES = 64  # whole numbers with more distinct values are the levels of an image, not the classes of a mask
MOST_IN_LEGEND = 16
WRITTEN_VALUES = 4  # of an input that is not drawn; longer ones are left out
RIGHT, WRONG = "✓", "✗"  # so that a wrong prediction does not show by its color alone


class BatchFigure:
    """The figure of a batch, before it is drawn.

    Args:
        batch: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`. `x` and `y` are arrays, or dictionaries or tuples of
            arrays.
        labels: The labels of the Sequence, for class names.
        channels_first: Whether images have their channels before height and width.
        num_images: The largest number of samples to draw.
        spectrogram: Whether inputs are drawn as spectrograms. `None` for floats of shape `(frequencies, steps)`.

    Raises:
        OptionError: If no input can be drawn.
    """

    def __init__(
        self, batch: Any, labels: Labels, channels_first: bool, num_images: int, spectrogram: bool | None = None
    ):
        x, y = (*batch, None)[:2] if isinstance(batch, tuple) else (batch, None)
        self.labels: Labels = labels
        self.channels_first: bool = channels_first
        inputs = _named(x, "input")
        self.num_rows: int = len(next(iter(inputs.values())))
        self.num_images: int = min(num_images, self.num_rows)
        inputs = {name: self._shown(values) for name, values in inputs.items()}
        self.rows: list[Pictures] = [
            _pictures(name, values, spectrogram) for name, values in inputs.items() if _is_drawn(values)
        ]
        if not self.rows:
            raise OptionError(
                "`show_batch` draws images: samples of shape (height, width, 1, 3 or 4), or (height, width). "
                f"Received: samples of shape {', '.join(str(values.shape[1:]) for values in inputs.values())}"
            )
        self.label_mode: str = (labels.label_mode or "raw") if isinstance(y, np.ndarray) else "raw"
        self.lines: list[list[str]] = [[] for _ in range(self.num_images)]
        self.is_wrong: list[bool] = [False] * self.num_images
        self.outputs: dict[str, np.ndarray] = {
            name: self._shown_answer(values) for name, values in _named(y, "output").items()
        }
        for name, values in self.outputs.items():
            self._add_output(name, values)
        for name, values in inputs.items():
            if not _is_drawn(values) and values[:1].size <= WRITTEN_VALUES:
                self._write(name, [", ".join(f"{v:.4g}" for v in np.ravel(row).tolist()) for row in values])

    def _shown(self, values: np.ndarray) -> np.ndarray:
        """The values of the samples that are drawn, with channels last."""
        values = values[: self.num_images]
        return np.moveaxis(values, 1, -1) if self.channels_first and values.ndim == 4 else values

    def _shown_answer(self, values: np.ndarray) -> np.ndarray:
        """The answers of the samples that are drawn. Masks have height and width first for any `data_format`."""
        is_mask = values.shape[1:3] == self.rows[0].pixels.shape[1:3]
        return values[: self.num_images] if is_mask else self._shown(values)

    def _add_output(self, name: str, values: np.ndarray) -> None:
        if (mask := self._as_mask(values)) is not None:
            self._add_mask(name or "mask", mask)
        elif values.ndim > 2:
            if _is_drawn(values):
                self.rows.append(_pictures(name or "target", values, None))
        else:
            self._write(name, label_strings(values, self.labels.class_names, self.label_mode))

    def _add_mask(self, name: str, mask: np.ndarray) -> None:
        """Draw the first mask over the images, and further ones over images of their own."""
        if self.rows[0].masks is None:
            self.rows[0] = self.rows[0]._replace(masks=mask)
        else:
            self.rows.append(self.rows[0]._replace(name=name, masks=mask))

    def _as_mask(self, values: np.ndarray) -> np.ndarray | None:
        """Labels or predictions as masks of the shape of the images, or `None` if they are something else."""
        image = self.rows[0].pixels
        if values.ndim not in (3, 4) or values.shape[1:3] != image.shape[1:3]:
            return None
        if values.ndim == 4 and values.shape[3] > 1:
            is_image = image.ndim == 4 and values.shape == image.shape  # a target with the channels of the image
            return None if is_image and not _are_shares(values) else values.argmax(axis=3)
        values = values[..., 0] if values.ndim == 4 else values
        if values.dtype.kind == "f" and (values % 1 != 0).any():
            return values if values.min() >= 0 and values.max() <= 1 and image.shape[-1] != 1 else None
        return values if len(np.unique(values)) <= MOST_CLASSES else None

    def add_names(self, names: Sequence[str]) -> None:
        """Write the name of each sample's file."""
        self._write("", names[: self.num_images])

    def add_predictions(self, predictions: Any) -> None:
        """Write or draw what a model predicted for each sample.

        Args:
            predictions: Array of shape `(batch, ...)`. For several outputs, a dictionary or a list of arrays.

        Raises:
            OptionError: If the number of predictions is not that of the samples.
        """
        found = _named(predictions, "output")
        for name, values in found.items():
            if len(values) != self.num_rows:
                raise OptionError(
                    f"`predictions` should have one row per sample of the batch, {self.num_rows} rows. "
                    f"Received: {f'{name!r} with ' * bool(name)}{len(values)} rows. To predict this batch: "
                    "show_batch(predictions=model)"
                )
        outputs = list(self.outputs.values())
        for number, (name, values) in enumerate(found.items()):
            values = self._shown(values)
            y = self.outputs.get(name, outputs[number] if number < len(outputs) else None)
            if values.ndim <= 2:
                self._write_predictions(name, values, None if y is None or y.ndim > 2 else y)
                continue
            name = f"{name} prediction".strip()
            mask = self._as_mask(values)
            if mask is not None:
                self.rows.append(self.rows[0]._replace(name=name, masks=mask))
            elif _is_drawn(values):
                self.rows.append(_pictures(name, values, None))

    def _write_predictions(self, name: str, values: np.ndarray, y: np.ndarray | None) -> None:
        found = prediction_strings(values, y, self.labels.class_names, self.label_mode)
        signs = {True: f"{RIGHT} ", False: f"{WRONG} ", None: "predicted "}
        self._write(name, [signs[prediction.is_right] + prediction.text for prediction in found])
        wrong = [prediction.is_right is False for prediction in found]
        self.is_wrong = [before or now for before, now in zip(self.is_wrong, wrong)]

    def _write(self, name: str, strings: Sequence[str]) -> None:
        """Add a line to each caption, after the name of the input or output if there are several."""
        for lines, text in zip(self.lines, strings):
            if text:
                lines.append(f"{name}: {text}" if name else text)

    def draw(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Return a `matplotlib.figure.Figure`, and save it to `path` unless that is `None`."""
        if len(self.rows) > 1 and not self.rows[0].name:
            self.rows[0] = self.rows[0]._replace(name="input" if self.rows[0].masks is None else "label")
        masks = [row.masks for row in self.rows if row.masks is not None]
        numbers = sorted({number for mask in masks for number in classes_in(mask)})
        class_names = self.labels.class_names or []
        legend = {
            number: class_names[number] if 0 <= number < len(class_names) else f"class {number}"
            for number in numbers[:MOST_IN_LEGEND]
        }
        captions = [Caption(lines, is_wrong) for lines, is_wrong in zip(self.lines, self.is_wrong)]
        return picture_grid(self.rows, captions, path, legend if class_names or len(numbers) > 1 else None)


def _named(values: Any, kind: str) -> dict[str, np.ndarray]:
    """The arrays of an input or output by name. A single array has the name `""`."""
    if values is None:
        return {}
    if isinstance(values, Mapping):
        return {str(name): np.asarray(array) for name, array in values.items()}
    if isinstance(values, (tuple, list)) and any(np.ndim(array) for array in values):
        return {f"{kind} {number}": np.asarray(array) for number, array in enumerate(values)}
    return {"": np.asarray(values)}


def _is_drawn(values: np.ndarray) -> bool:
    """Whether values are images or spectrograms, one per sample."""
    return is_picture(values.shape[1:]) and values.dtype.kind in "biuf"


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape can be drawn: `(height, width)` or `(height, width, channels)`."""
    return 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[-1] in IMAGE_CHANNELS))


def _pictures(name: str, values: np.ndarray, spectrogram: bool | None) -> Pictures:
    has_channel = values.ndim == 4
    if spectrogram is None:
        spectrogram = not has_channel and values.dtype.kind == "f"
    if spectrogram and has_channel and values.shape[-1] == 1:
        values, has_channel = values[..., 0], False
    return Pictures(values, name, is_spectrogram=spectrogram and not has_channel)


def _are_shares(values: np.ndarray) -> bool:
    """Whether the last axis has the probabilities of classes."""
    return bool((values >= 0).all()) and bool((np.abs(values.sum(axis=-1, dtype=np.float64) - 1) < 0.01).all())
