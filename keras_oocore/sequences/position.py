"""The position of a Sequence in its data, which can be saved as a small JSON and moved."""

import json
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.core.differences import differences
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.fingerprint import described, name_of
from keras_oocore.core.text import shown
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.order import Order
from keras_oocore.sequences.shards import Shard
from keras_oocore.sources.base import Source

KEYS = ("seed", "epoch", "batches", "num_samples", "fingerprint")
TRANSFORM_PIECES = 10_000  # values of a `transform` that are compared


def data_fingerprint(source: Source, order: Order, options: BatchOptions) -> dict[str, Any]:
    """Return what determines the batches besides the seed, as plain JSON. It is equal in the next run."""
    # Without shuffling there is only one order, for any number of chunks that are read at a time.
    order_fingerprint = order.fingerprint() if options.shuffle else {"shuffle": False}
    source_fingerprint = source.fingerprint()
    fingerprint = {
        **source_fingerprint,
        "labels": source_fingerprint.get("labels"),
        "batch_size": int(options.batch_size),
        "last_batch": options.last_batch,
        **order_fingerprint,
    }
    return json.loads(json.dumps(fingerprint))  # as loaded from a file, where tuples are lists


def data_options(source: Source, format: BatchFormat, options: BatchOptions) -> dict[str, Any]:
    """Return the options that determine the contents of batches, but not which samples they have, as plain JSON.

    `data_fingerprint` has the others. It refuses other data, while a training may continue with other options.
    """
    dtypes = {name: str(field.dtype) for name, field in format.fields.items()}
    described = {
        "dtype": dtypes["x"] if len(dtypes) == 1 else dtypes,
        "rescale": None if options.rescale is None else float(options.rescale),
        "data_format": options.data_format,
        "transform": None if options.transform is None else described_transform(options.transform),
        "on_error": options.on_error,
        **source.options(),
    }
    return json.loads(json.dumps(described, default=str))


def described_transform(transform: Callable[..., Any]) -> str:
    """Return the name of a function, and a checksum of its code and values.

    Only the first values are examined, because a `transform` may refer to a whole model.
    """
    try:
        return described(transform, TRANSFORM_PIECES)
    except Exception:  # an object of the user that cannot be examined must not stop the training
        return name_of(transform)


def checked_state(state: Any, num_batches: int, here: dict[str, Any]) -> tuple[int, int, int]:
    """Return seed, epoch and batches of a state, after checking that it belongs to the data that `here` describes.

    Raises:
        OptionError: If it is not a state.
        DataError: If it belongs to other data. The message says what differs.
    """
    if not isinstance(state, dict) or set(KEYS) - set(state) or not isinstance(state["fingerprint"], dict):
        raise OptionError(f"`state` should be what `state_dict()` returned. Received: {shown(state)}")
    numbers = [state["seed"], state["epoch"], state["batches"]]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or state["batches"] > num_batches:
        raise OptionError(
            "`state` should have a seed, an epoch and a number of batches of 0 or more, "
            f"and at most {num_batches} batches. Received: {dict(zip(KEYS, numbers))}"
        )
    there = {"num_samples": state["num_samples"], **state["fingerprint"]}
    if different := differences(there, here):
        raise DataError(
            f"The state belongs to other data: {'; '.join(different)}. "
            "Create the Sequence with the same samples and batches as before, or start over."
        )
    return tuple(numbers)


class Cursor:
    """Reads and moves the position of a Sequence, for training that spans several calls of `fit`.

    Args:
        sequence: The Sequence.
        epoch_pass: Its `EpochPass`.
        options: Function that returns its `data_options`.
        shard: Which shard it is, or `None` if it is not one.
    """

    def __init__(
        self, sequence: Any, epoch_pass: EpochPass, options: Callable[[], dict[str, Any]], shard: Shard | None
    ):
        self._sequence, self._pass, self._options = sequence, epoch_pass, options
        self.shard: Shard | None = shard

    @property
    def position(self) -> tuple[int, int]:
        """Number of the current pass, and number of its batches that were delivered or, if not counted, handed out."""
        return self._pass.position()

    @property
    def delivered(self) -> int | None:
        """Number of batches of the pass that the model received, or `None` if they are not counted.

        Keras may have asked for more batches than the model received.
        """
        return self._pass.delivered

    @delivered.setter
    def delivered(self, batches: int | None) -> None:
        self._pass.count_delivered(batches)

    def seek(self, pass_number: int, batches: int) -> None:
        """Move to batch `batches` of a pass, where the next epoch begins."""
        self._pass.seek(pass_number, batches)

    def rest(self, num_batches: int) -> keras.utils.PyDataset:
        """Return the remaining batches of the current pass as a dataset for one call of `fit`.

        Args:
            num_batches: Number of remaining batches.
        """
        return _Rest(self._sequence, num_batches)

    @property
    def options(self) -> dict[str, Any]:
        """Options that determine the contents of the batches, but not which samples they have: name → plain JSON."""
        return self._options()

    @property
    def last_batch(self) -> str:
        """The option `last_batch`."""
        return self._sequence._options.last_batch

    def metrics_are_checked(self) -> None:
        """Do not warn that `metrics=` of `compile` counts the samples that fill a batch several times."""
        self._sequence._warns_of_metrics = False

    def peek(self, batch_index: int) -> Any:
        """Return a batch of the current pass without moving."""
        return self._sequence.load_batch(batch_index)

    def adopt_seed(self, seed: int) -> None:
        """Use another seed, unless the user passed one to the Sequence."""
        self._sequence.adopt_seed(seed)

    def release(self) -> None:
        """Stop the loading threads, and free the batches that were made ahead."""
        self._sequence.release()


class _Rest(keras.utils.PyDataset):
    """The remaining batches of a pass."""

    def __init__(self, sequence: Any, num_batches: int):
        super().__init__(workers=1, use_multiprocessing=False)
        self._sequence, self._remaining = sequence, num_batches

    def __len__(self) -> int:
        return self._remaining

    @property
    def num_batches(self) -> int:
        """Number of remaining batches when this dataset was made. It does not change."""
        _ = self._sequence.num_batches  # a Sequence detects a new call of `fit` by this access
        return self._remaining

    def __getitem__(self, index: int) -> Any:
        return self._sequence[index]

    def on_epoch_begin(self) -> None:
        self._sequence.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._sequence.on_epoch_end()
