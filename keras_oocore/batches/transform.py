"""How a transform is applied to a batch, and the keys that its random numbers depend on.

A key depends on what is drawn for, and not on threads: a batch of an epoch, or a sample of an epoch.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.batches.image_input import applied
from keras_oocore.core.errors import OptionError

KEY_WORDS = 2  # 64-bit words in the key of a sample, as many as a `numpy.random.Philox` has

# What users pass as `transform`: a function `f(x, y, rng)` that returns `(x, y)`.
TransformFunction = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]


class BatchSpec(NamedTuple):
    """What a transform knows of the batches that it changes.

    Attributes:
        shape: Shape of a sample, with the channels last.
        dtype: Dtype of a sample.
        channels_first: Whether the channels are the first axis of a sample in a batch.
        value_range: The lowest and the highest value, or `None` if they are not known.
        batch_size: Number of samples, in this process.
        is_shard: Whether other processes have the rest of each batch.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    channels_first: bool
    value_range: tuple[float, float] | None
    batch_size: int
    is_shard: bool


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
        stage: Number of the transform in a list of transforms. Each has draws of its own.
        draws: How often each sample was drawn before in this epoch, an `int64` array, or `None` for never.
        num_real: Number of the first samples, after which copies fill the batch of a shard. `None` if there are none.
    """

    seed: int
    epoch: int
    position: int
    samples: np.ndarray
    name: Callable[[int], str]
    shard: int | None = None
    stage: int = 0
    draws: np.ndarray | None = None
    num_real: int | None = None

    def of_batch(self) -> np.random.Generator:
        """Return a generator for the whole batch, keyed by seed, epoch, batch and shard."""
        key = (self.epoch, self.position) if self.shard is None else (self.epoch, self.position, self.shard)
        if self.stage:
            key = (self.epoch, self.position, self.shard or 0, self.stage)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def keys(self) -> np.ndarray:
        """Return a key per sample, a `uint64` array of shape `(batch, 2)`.

        It depends on seed, epoch, sample and draw alone: not on the batch, the part, or the process. Two samples of an
        epoch never have the same key. A transform of whole batches computes its draws from this array.
        """
        key = (self.epoch, 0, 0, self.stage) if self.stage else (self.epoch,)
        first, second = np.random.SeedSequence(self.seed, spawn_key=key).generate_state(KEY_WORDS, np.uint64)
        keys = np.empty((len(self.samples), KEY_WORDS), np.uint64)
        keys[:, 0] = mixed(self.samples.astype(np.uint64) ^ first)
        # The samples that fill a last batch of several shards are copies, and have the same keys.
        keys[:, 1] = mixed(keys[:, 0] ^ second)
        if self.draws is not None:
            keys[:, 1] = np.where(self.draws > 0, mixed(keys[:, 1] + self.draws.astype(np.uint64)), keys[:, 1])
        return keys


class Transform(ABC):
    """What is done to every batch, in the loading threads.

    Attributes:
        of_images: Whether it changes images. Of several inputs, it receives the image alone as `x`.
        mixes: Whether it mixes the images of different samples.
    """

    of_images: bool = False
    mixes: bool = False

    @property
    def needs_image(self) -> bool:
        """Whether it cannot be applied to samples without an image."""
        return self.of_images

    @abstractmethod
    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        """Return the batch `(x, y)` after the transform. `x` may change in place. `y` is `None` without labels."""

    def for_batches(self, spec: BatchSpec) -> "Transform":
        """Return the transform for batches of a Sequence.

        Raises:
            OptionError: If it cannot be applied to them.
        """
        return self


class BatchTransform(Transform):
    """A function `f(x, y, rng)` of a whole batch."""

    def __init__(self, function: TransformFunction):
        require_arguments(function, "transform")
        self.function = function

    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        return checked_pair(self.function(x, y, draws.of_batch()), "transform")


class Chain(Transform):
    """Transforms that are applied one after the other."""

    def __init__(self, transforms: Sequence[Transform]):
        self.transforms: list[Transform] = list(transforms)

    @property
    def needs_image(self) -> bool:
        return any(transform.needs_image for transform in self.transforms)

    def __repr__(self) -> str:
        return repr(self.transforms)

    def for_batches(self, spec: BatchSpec) -> "Chain":
        return Chain([transform.for_batches(spec) for transform in self.transforms])

    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        for stage, transform in enumerate(self.transforms):
            x, y = applied(transform, x, y, replace(draws, stage=stage))
        return x, y


# What users pass as `transform`.
Transforms = TransformFunction | Transform | Sequence[TransformFunction | Transform] | None


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
        called = getattr(function, "__name__", "")
        called = called if called.isidentifier() else "f"  # not of a lambda
        required = [p for p in signature.parameters.values() if p.default is p.empty]
        fix = {
            1: f" Write: {name}=lambda x, y, rng: ({called}(x), y).",
            2: f" Write: {name}=lambda x, y, rng: {called}(x, y).",
        }.get(len(required), "")
        raise OptionError(
            f"`{name}` should be a function f(x, y, rng) that returns (x, y); `rng` is a numpy.random.Generator, and "
            f"`y` is None without labels.{fix} Received: a function of {signature}"
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


def mixed(values: np.ndarray) -> np.ndarray:
    """Apply the finalizer of splitmix64, which maps different `uint64` values to different values."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))
