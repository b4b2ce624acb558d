"""`NormalizedInputs`: computes the mean and variance of the inputs of a model in one pass over the samples."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.moments import Moments
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.text import shown
from keras_oocore.sequences.base import OutOfCoreSequence


class NormalizedInputs(OutOfCoreSequence):
    """A Sequence of samples that a layer can scale to mean 0 and variance 1."""

    def normalization(self, axis: int | Sequence[int] | None = -1) -> keras.layers.Normalization | dict[Any, Any]:
        """Return a layer that scales the samples to mean 0 and variance 1, as `keras.layers.Normalization.adapt` does.

        Computing mean and variance reads all samples once, in their order and in the loading threads, with a progress
        bar. It needs the memory of a few batches. The numbers are those that the model receives, after `rescale` and
        `dtype`, but before `transform`, which may be random. The layer is saved with the model. Call it on the training
        part of `split`. With `on_error="skip"` or `"replace"`, unreadable samples are left out.

        Args:
            axis: Axis or axes of a batch that have a mean and a variance for each position, as in
                `keras.layers.Normalization`. The default is the last one: the channels of images, or the features of
                rows. With `data_format="channels_first"`, use `1`. `None` for one mean and one variance. Of several
                inputs, one that is a number per sample has one mean by default.

        Returns:
            A `keras.layers.Normalization` layer. If `x` is a dictionary or a tuple of inputs, a dictionary of such
            layers, by the name or the position of the input.

        Raises:
            OptionError: If `axis` is not an axis of a batch other than the first, or the samples are padded.
            SampleError: If a sample cannot be read and `on_error="raise"`.

        >>> import keras_oocore as ko
        >>> rows = ko.ArraySequence(np.array([[1.0, 10.0], [3.0, 20.0]]), labels=None)
        >>> layer = rows.normalization()
        >>> np.ravel(layer.input_mean).tolist(), np.ravel(layer.input_variance).tolist()
        ([2.0, 15.0], [1.0, 25.0])
        """
        if "pad_to" in self._source.options():
            raise OptionError(
                "`normalization` would count the padding as values. Call it on a Sequence of arrays of one shape, or "
                "pass mean and variance to keras.layers.Normalization. Received: samples that are padded"
            )
        on_error = "raise" if self._options.on_error == "raise" else "skip"
        samples = self.in_order(transformed=False, on_error=on_error)
        found, shapes = {}, {}
        try:
            for position in tqdm(
                range(samples.num_batches), "computing mean and variance", unit=" batches", delay=QUIET_SECONDS
            ):
                batch = samples.read(position).batch
                if batch is None:  # none of its samples can be read
                    continue
                x = batch[0] if isinstance(batch, tuple) else batch
                for name, part in _named(x):
                    kept = kept_axes(_axis_of(axis, name, part.ndim), part.ndim)
                    found[name] = found.get(name, Moments()).joined(Moments.of(part, kept))
                    shapes[name] = part.shape[1:]
        finally:
            samples.release()
        if not found:
            raise DataError(f"None of the {samples.num_samples:,} samples can be read.")
        layers = {
            name: _layer(_axis_of(axis, name, len(shapes[name]) + 1), moments, shapes[name])
            for name, moments in found.items()
        }
        return layers.get(None, layers)


def kept_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return the axes that have a mean for each position, in ascending order.

    Raises:
        OptionError: If they are not axes of samples.

    >>> kept_axes(-1, 4), kept_axes((1, -1), 4), kept_axes(None, 4)
    ((3,), (1, 3), ())
    """
    axes = () if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    try:
        kept = tuple(sorted(range(ndim)[one] for one in axes))
    except (IndexError, TypeError):
        kept = (0,)
    if 0 in kept or len(set(kept)) < len(kept):
        instead = f"from 1 to {ndim - 1}, a tuple of them, or None" if ndim > 1 else "None for samples without axes"
        raise OptionError(
            f"`axis` should be an axis of a batch with {ndim} axes other than the first: {instead}. "
            f"Received: axis={shown(axis)}"
        )
    return kept


def _named(x: Any) -> Iterable[tuple[Any, np.ndarray]]:
    """Return the inputs of a batch by name or position, and by `None` if there is only one."""
    if isinstance(x, dict):
        return x.items()
    return enumerate(x) if isinstance(x, tuple | list) else [(None, x)]


def _axis_of(axis: Any, name: Any, ndim: int) -> Any:
    """Return the axis of an input. Of several inputs, one number per sample has one mean by default."""
    return None if name is not None and axis == -1 and ndim == 1 else axis


def _layer(axis: Any, moments: Moments, shape: tuple[int, ...]) -> keras.layers.Normalization:
    layer = keras.layers.Normalization(
        axis=tuple(axis) if isinstance(axis, list) else axis,
        mean=np.asarray(moments.mean, np.float32),
        variance=np.asarray(moments.variance, np.float32),
    )
    layer.build((None, *shape))  # otherwise it leaks tracers in the first step of `fit` on JAX (Keras 3.15.1)
    return layer
