"""A position in the data: a cursor that reads and moves it, and its small JSON."""

import json
from typing import Any

import keras

from keras_oocore.batches.maker import BatchMaker
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.fingerprint import of_array

KEYS = ("seed", "epoch", "batches", "num_samples", "fingerprint")


def fingerprint(maker: BatchMaker) -> dict[str, Any]:
    """Which samples lie in which batches, apart from the seed, as plain JSON; the same in the next run."""
    labels = maker.labels.values
    # In order there is one order alone, whatever blocks are read at a time: they depend on the number of threads.
    order = maker.order.which() if maker.options.shuffle else {"shuffle": False}
    described = {
        **maker.samples.which(),
        "labels": None if labels is None else of_array(labels),
        "batch_size": int(maker.options.batch_size),
        "last_batch": maker.options.last_batch,
        **order,
    }
    return json.loads(json.dumps(described))  # tuples come back as lists


def checked_state(state: Any, num_batches: int, here: dict[str, Any]) -> tuple[int, int, int]:
    """Seed, epoch and batches of a state, when it belongs to the data that `here` describes.

    Raises:
        OptionError: when it is no state.
        DataError: when it belongs to other data; it says what differs.
    """
    if not isinstance(state, dict) or set(KEYS) - set(state) or not isinstance(state["fingerprint"], dict):
        raise OptionError(f"`state` should be what `state_dict()` returned. Received: {state!r:.200}")
    numbers = [state["seed"], state["epoch"], state["batches"]]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or state["batches"] > num_batches:
        raise OptionError(
            "`state` should have a seed, an epoch and a number of batches of 0 or more, "
            f"of {num_batches} batches at most. Received: {dict(zip(KEYS, numbers))}"
        )
    there = {"num_samples": state["num_samples"], **state["fingerprint"]}
    differences = [
        f"{key} was {there.get(key)!r}, is {here.get(key)!r}"
        for key in {**there, **here}
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise DataError(
            f"The state belongs to other data: {'; '.join(differences)}. "
            "Make the Sequence of the same samples and batches as then, or begin anew."
        )
    return tuple(numbers)


class Cursor:
    """The position of a Sequence, for code that trains on it.

    Args:
        sequence: The `OutOfCoreSequence`.
    """

    def __init__(self, sequence):
        self._sequence = sequence

    @property
    def position(self) -> tuple[int, int]:
        """Number of the current pass, and how many of its batches were delivered."""
        return self._sequence._pass.place()

    def seek(self, pass_number: int, batches: int) -> None:
        """Move to a batch of a pass: the next epoch starts there."""
        self._sequence._seek(pass_number, batches)

    @property
    def delivered(self) -> int | None:
        """Batches of this pass that the model was given, or `None` while nobody counts them."""
        return self._sequence._pass.delivered

    @delivered.setter
    def delivered(self, batches: int | None) -> None:
        self._sequence._pass.delivered = batches

    def rest(self, num_batches: int) -> keras.utils.PyDataset:
        """The last `num_batches` batches of the current pass, as a dataset for one call of `fit`."""
        return _Rest(self._sequence, num_batches)

    def release(self) -> None:
        """Discard the batches that were loaded ahead."""
        self._sequence._batches.close()

    def peek(self, batch_index: int) -> Any:
        """A batch of the current pass, without moving the position."""
        return self._sequence._batch_apart(batch_index)

    def adopt_seed(self, seed: int) -> None:
        """Use this seed, unless the Sequence was made with a seed."""
        self._sequence._take_seed(seed)


class _Rest(keras.utils.PyDataset):
    def __init__(self, sequence, num_batches: int):
        super().__init__(workers=1, use_multiprocessing=False)
        self._sequence, self._left = sequence, num_batches

    def __len__(self) -> int:
        return self._left

    @property
    def num_batches(self) -> int:
        _ = self._sequence.num_batches  # reading the length tells the Sequence that a new call begins
        return self._left

    def __getitem__(self, index: int) -> Any:
        return self._sequence[index]

    def on_epoch_begin(self) -> None:
        self._sequence.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._sequence.on_epoch_end()
