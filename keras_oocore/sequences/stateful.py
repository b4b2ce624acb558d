"""`StatefulDataset`: the position in the data as a small JSON, which another process can load."""

from dataclasses import replace
from typing import Any

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.position import Cursor, checked_state, data_fingerprint, data_options
from keras_oocore.sequences.served import ServedDataset


class StatefulDataset(ServedDataset):
    """A dataset whose position can be saved, and moved."""

    @property
    def cursor(self) -> Cursor:
        """The position in the data, which can be read and moved. `ko.fit_resumable` uses it."""
        return Cursor(self, self._pass, self._described_options, self._shard)

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Return the position in the data as a small JSON. A Sequence that loads it continues with the next batch.

        In a custom training loop, call it inside the loop. In a callback of plain `fit`, pass the number of batches
        that the model received, because TensorFlow and JAX request some batches ahead: `state_dict(batches=batch + 1)`
        in `on_train_batch_end(batch)`. `ko.fit_resumable` does all of this for you.

        Args:
            batches: Number of batches of the current pass that the model received since the pass began, or since
                `load_state_dict`. Defaults to the number of batches that were handed out.

        Returns:
            `{"seed", "epoch", "batches", "num_samples", "fingerprint"}`, with plain numbers and strings.

        >>> import numpy as np
        >>> import keras_oocore as ko
        >>> sequence = ko.ArraySequence(np.arange(8.0), labels=None, batch_size=2, seed=1)
        >>> for position, x in enumerate(sequence):
        ...     if position == 1:
        ...         state = sequence.state_dict()
        >>> state["epoch"], state["batches"], state["num_samples"]
        (0, 2, 8)
        >>> again = ko.ArraySequence(np.arange(8.0), labels=None, batch_size=2)
        >>> again.load_state_dict(state)
        >>> len(list(again)), again.seed
        (2, 1)
        """
        epoch, handed_out = self._pass.position(None if batches is None else positive(batches, "batches"))
        return {"seed": self.seed, "epoch": epoch, "batches": handed_out, **self._described_data()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Move to the position of a `state_dict()`. The rest of that pass comes next, followed by whole passes.

        A Sequence made with `seed=None` adopts the seed of the state. `len()` stays the number of batches of a whole
        pass. A plain `fit` first trains on the rest of the epoch, and Keras before 3.16 warns that it ran out of data.
        Weights, history and callbacks are not restored: see `ko.fit_resumable`.

        Args:
            state: Result of `state_dict()`, of this process or of an earlier one.

        Raises:
            OptionError: If `state` is not a state, or if its seed is not the `seed` of the Sequence.
            DataError: If the state belongs to other data. The message says what differs.
        """
        described = self._described_data()
        here = {"num_samples": described["num_samples"], **described["fingerprint"]}
        seed, epoch, batches = checked_state(state, len(self), here)
        if seed != self.seed and not self._options.seed_is_drawn:
            raise OptionError(
                f"The state has seed={seed}, but this Sequence was made with seed={self.seed}. Make it with "
                f"seed={seed}, or with seed=None, which adopts the seed of the state."
            )
        self.adopt_seed(seed)
        self._pass.seek(epoch, batches)

    def adopt_seed(self, seed: int) -> None:
        """Use another seed for the order and for `transform`, unless the user passed one."""
        if seed != self.seed and self._options.seed_is_drawn:
            pipeline = None if self._made is None else self._made.with_seed(seed)
            self.release()
            self._options = replace(self._options, seed=seed)
            self._use(pipeline)

    def _described_data(self) -> dict[str, Any]:
        """Return the part of `state_dict()` that describes the data."""
        if not self._data_fingerprint:
            pipeline = self._pipeline
            self._data_fingerprint.update(data_fingerprint(pipeline.source, pipeline.order, pipeline.options))
        partition = {} if self._partition is None else {"partition": self._partition}
        return {"num_samples": self.num_samples, "fingerprint": {**self._data_fingerprint, **partition}}

    def _described_options(self) -> dict[str, Any]:
        """Return the `data_options`. They are computed once, because the values of a `transform` may change."""
        if not self._data_options:
            self._data_options.update(data_options(self._source, self._format, self._options))
        return self._data_options
