"""How a transform is applied to a batch, and the keys that its random numbers depend on.

A key depends on what is drawn for, and not on threads: a batch of an epoch, or a sample of an epoch.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError

KEY_WORDS = 2  # 64-bit words in the key of a sample, as many as a `numpy.random.Philox` has

# What users pass as `transform`: a function `f(x, y, rng)` that returns `(x, y)`.
TransformFunction = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]


@dataclass(frozen=True)
class Draws:
    """What the random numbers for a batch depend on.

    Attributes:
        seed: Seed of the Sequence.
        epoch: Number of the epoch.
        position: Position of the batch in the epoch. Positions continue from part to part of an order.
        samples: Numbers of the samples, an `int64` array of shape `(batch,)`.
        name: Function from the number of a sample to its name, for messages.
        shard: Number of the share of the batch, if several processes share it. Each share has draws of its own.
    """

    seed: int
    epoch: int
    position: int
    samples: np.ndarray
    name: Callable[[int], str]
    shard: int | None = None

    def of_batch(self) -> np.random.Generator:
        """Return a generator for the whole batch, keyed by seed, epoch, batch and shard."""
        key = (self.epoch, self.position) if self.shard is None else (self.epoch, self.position, self.shard)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def keys(self) -> np.ndarray:
        """Return a key per sample, a `uint64` array of shape `(batch, 2)`.

        It depends on seed, epoch and sample alone: not on the batch, the part, or the process. Two samples of an epoch
        never have the same key. A transform of whole batches computes its draws from this array.
        """
        first, second = np.random.SeedSequence(self.seed, spawn_key=(self.epoch,)).generate_state(KEY_WORDS, np.uint64)
        keys = np.empty((len(self.samples), KEY_WORDS), np.uint64)
        keys[:, 0] = _mixed(self.samples.astype(np.uint64) ^ first)
        # The second word has room for how often the sample was drawn before in this epoch, which is never today. (The
        # samples that fill a last batch of several shards are copies.)
        keys[:, 1] = _mixed(keys[:, 0] ^ second)
        return keys


class Transform(ABC):
    """What is done to every batch, in the loading threads."""

    @abstractmethod
    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        """Return the batch `(x, y)` after the transform. `x` may change in place. `y` is `None` without labels."""

    @staticmethod
    def of(function: "TransformFunction | Transform | None") -> "Transform | None":
        """Return the transform that a user passed: a function of whole batches, or a `Transform`."""
        return function if function is None or isinstance(function, Transform) else BatchTransform(function)


class BatchTransform(Transform):
    """A function `f(x, y, rng)` of a whole batch."""

    def __init__(self, function: TransformFunction):
        self.function = function

    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        return checked_pair(self.function(x, y, draws.of_batch()), "transform")


def require_arguments(function: TransformFunction, name: str) -> None:
    """Check that a function can be called with `(x, y, rng)`.

    Raises:
        OptionError: If it cannot. A function whose signature Python does not know passes.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(None, None, None)
    except TypeError:
        raise OptionError(
            f"`{name}` should be a function f(x, y, rng) that returns (x, y); `rng` is a numpy.random.Generator, and "
            f"`y` is None without labels. Received: a function of {signature}"
        ) from None


def checked_pair(result: Any, name: str) -> tuple[Any, Any]:
    """Return what a function `name(x, y, rng)` returned.

    Raises:
        OptionError: If it is not a tuple `(x, y)`.
    """
    if not isinstance(result, tuple) or len(result) != 2:
        raise OptionError(
            f"`{name}(x, y, rng)` should return a tuple (x, y). Received: {type(result).__name__}"
            + (f" of {len(result)}" if isinstance(result, tuple) else "")
        )
    return result


def _mixed(values: np.ndarray) -> np.ndarray:
    """Apply the finalizer of splitmix64, which maps different values to different values."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))
