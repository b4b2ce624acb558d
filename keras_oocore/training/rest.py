"""What is left of a pass over a Sequence, as a dataset of its own for one call of `fit`."""

from typing import Any

import keras

from keras_oocore.sequences.base import OutOfCoreSequence


class Rest(keras.utils.PyDataset):
    """The batches of the current pass that were not used yet.

    Args:
        sequence: at its place.
        num_batches: that are left.
    """

    def __init__(self, sequence: OutOfCoreSequence, num_batches: int):
        super().__init__(workers=1, use_multiprocessing=False)
        self._sequence, self._left = sequence, num_batches

    def __len__(self) -> int:
        return self._left

    @property
    def num_batches(self) -> int:
        """Batches that are left, however many were asked for since."""
        _ = self._sequence.num_batches  # that somebody asked is how a Sequence knows a new call
        return self._left

    def __getitem__(self, index: int) -> Any:
        return self._sequence[index]

    def on_epoch_begin(self) -> None:
        self._sequence.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._sequence.on_epoch_end()
