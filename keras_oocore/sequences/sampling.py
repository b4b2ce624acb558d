"""How often each sample is drawn per epoch: the arguments `sampling` and `samples_per_epoch`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.manifest.labels import Labels
from keras_oocore.ordering.drawn_order import BalancedOrder, DrawnOrder, WeightedOrder

SamplingArgument = Literal["balanced"] | Sequence[float] | np.ndarray | None


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Attributes:
        weights: Weight per sample, `float64`, or `None` for balanced classes.
        samples_per_epoch: Number of draws per epoch, or `None` for the number of samples.
    """

    weights: np.ndarray | None
    samples_per_epoch: int | None

    @classmethod
    def of(
        cls,
        sampling: SamplingArgument,
        samples_per_epoch: int | None,
        num_samples: int,
        options: BatchOptions,
        each: str = "sample, before `subset`",
    ) -> "Sampling | None":
        """Return what the arguments of a user say, or `None` if each sample is drawn once per epoch.

        Args:
            sampling, samples_per_epoch: The arguments.
            num_samples: Number of samples.
            options: How samples become batches.
            each: What has a weight, for messages.

        Raises:
            OptionError: If an argument is not valid.
        """
        if sampling is None:
            if samples_per_epoch is not None:
                raise OptionError(
                    '`samples_per_epoch` requires `sampling`, such as sampling="balanced". For short epochs of a plain '
                    f"shuffle, pass steps_per_epoch to `fit`. Received: samples_per_epoch={samples_per_epoch!r}"
                )
            return None
        if options.shuffle is not True:
            raise OptionError(
                f"`sampling` draws in a random order: use shuffle=True. Received: shuffle={options.shuffle!r}"
            )
        if samples_per_epoch is not None:
            samples_per_epoch = positive(samples_per_epoch, "samples_per_epoch")
        if isinstance(sampling, str):
            if sampling != "balanced":
                raise OptionError(
                    f'`sampling` should be "balanced" or one weight per {each}. Received: {shown(sampling)}'
                )
            return cls(None, samples_per_epoch)
        return cls(_checked(sampling, num_samples, each), samples_per_epoch)

    def select(self, samples: np.ndarray) -> "Sampling":
        """Return the sampling of some of the samples."""
        return self if self.weights is None else replace(self, weights=self.weights[samples])

    def num_draws(self, num_samples: int) -> int:
        """Return the number of draws per epoch."""
        return num_samples if self.samples_per_epoch is None else self.samples_per_epoch

    def order(self, labels: Labels, num_samples: int, seed: int) -> DrawnOrder:
        """Return the order of the draws.

        Raises:
            OptionError: If the classes are not known, or all weights are 0.
        """
        return self.order_of(_classes(labels) if self.weights is None else None, num_samples, seed)

    def order_of(self, classes: np.ndarray | None, num_samples: int, seed: int) -> DrawnOrder:
        """Return the order of the draws, for the class of each sample or, with weights, `None`.

        Raises:
            OptionError: If all weights are 0.
        """
        size = self.num_draws(num_samples)
        if classes is not None:
            return BalancedOrder.of(classes, size, seed)
        if not self.weights.any():
            raise OptionError("All weights in `sampling` are 0, so no sample can be drawn.")
        return WeightedOrder(num_samples, size, seed, self.weights)

    def __str__(self) -> str:
        return "balanced classes" if self.weights is None else "a weight per sample"


def _classes(labels: Labels) -> np.ndarray:
    values = labels.values
    if values is None or values.ndim != 1 or values.dtype.kind not in "biu":
        received = "no labels" if values is None else f"labels of dtype {values.dtype} and shape {values.shape}"
        raise OptionError(
            'sampling="balanced" requires one class per sample, as integers or strings. For other labels, pass one '
            f"weight per sample. Received: {received}"
        )
    return values


def _checked(weights: Any, num_samples: int, each: str) -> np.ndarray:
    try:
        weights = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        weights = np.empty(())
    if weights.shape != (num_samples,):
        raise OptionError(
            f'`sampling` should be "balanced" or {num_samples:,} weights, one per {each}. Received: '
            f"an array of shape {weights.shape}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise OptionError(
            f"Weights in `sampling` should be 0 or more. Received: {weights[~(weights >= 0)][:3].tolist()}"
        )
    return weights
