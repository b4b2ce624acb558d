"""The attributes that Keras reads from a Sequence, and errors for attributes that a Sequence does not have."""

from typing import TYPE_CHECKING, NoReturn

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.warn import warn_user

# Names that users may expect, such as those of `tf.data` and `flow_from_directory`, and what to use instead.
INSTEAD = {
    "cache": 'pass cache="DIR" to the constructor of a Sequence of files or of CSV files',
    "shuffle": "pass shuffle=True to the constructor",
    "map": "pass transform=function to the constructor",
    "prefetch": "batches are already made ahead in threads, at most max_queue_size of them",
    "num_classes": "len(sequence.class_names)",
    "cardinality": "len(sequence), the number of batches; num_samples",
    "element_spec": "the shapes and dtypes that repr(sequence) shows",
    "as_numpy_iterator": "iter(sequence), whose batches are NumPy arrays",
    "image_shape": "sequence[0][0].shape[1:]",
    "shape": "sequence[0][0].shape, of a batch; num_samples",
    "input_shape": "sequence[0][0].shape[1:]",
    "feature_names": "the features that you passed, in their order; columns are all columns of the data",
    "features": "the features that you passed, in their order; columns are all columns of the data",
    "column_names": "columns",
    "dtypes": "summary(), which has the kind of each column",
    "iloc": "summary().head() for the first rows",
    "to_pandas": "pandas.read_csv(path), pandas.read_parquet(path), or ko.predict(model, sequence).to_pandas()",
    "take": "use steps_per_epoch=n in `fit`, or itertools.islice(sequence, n) in a loop",
    "repeat": "`fit` reads a pass per epoch",
    "unbatch": "use batch_size=1",
    "batch": "pass batch_size=... to the constructor",
    "head": "summary().head() of a Sequence of CSV files returns the first rows; show_batch() of images shows some",
    "show_batch": "only Sequences of files and arrays have it; summary().head() of a CSV file returns its first rows",
    "describe": "summary() of a Sequence of CSV files returns statistics of each column",
    "pack": 'only Sequences of files have it; the rows of CSV files are stored with cache="DIR"',
    "class_indices": "class_names, a list in the order of the class indices",
    "classes": "labels, or served_labels beside predictions",
    "filepaths": "file_paths, or served_paths beside predictions",
    "samples": "num_samples",
    "reset": "nothing, every call of `fit`, `evaluate` and `predict` starts with the first batch",
}

if TYPE_CHECKING:

    class PyDataset:
        """What type checkers know of `keras.utils.PyDataset`, because Keras has no types."""

        def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None: ...

else:
    PyDataset = keras.utils.PyDataset


class OrderedPyDataset(PyDataset):
    """A `keras.utils.PyDataset` that Keras reads in order, without the queue of Keras.

    Keras reads `workers`, `use_multiprocessing` and `max_queue_size`. They cannot be changed after construction.

    Args:
        max_queue_size: The largest number of batches made ahead of time.
        use_multiprocessing: `True` gives a warning.
    """

    def __init__(self, max_queue_size: int, use_multiprocessing: bool):
        # Let Keras read in order and without its queue, which loses batches (3.15.1, workers=2).
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=max_queue_size)
        if use_multiprocessing:
            warn_user("`use_multiprocessing=True` is not supported: threads are used instead, see `workers`.")

    if not TYPE_CHECKING:  # which would otherwise accept every attribute

        def __getattr__(self, name):
            instead = f". Instead: {INSTEAD[name]}" if name in INSTEAD else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{instead}")

    def require_all_indices(self) -> None:
        """Check that Keras does not divide the indices among several processes.

        From Keras 3.16, process r of P asks for indices r, r + P, r + 2P, ... (`PyDatasetAdapter`), and batches are
        served in the order in which they are asked for: every process would get the same part of the samples.

        Raises:
            OptionError: If it does.
        """
        distribution = keras.distribution.distribution()
        # Keras 3.10 does not have these attributes, and refuses a PyDataset itself.
        num_processes = getattr(distribution, "num_processes", 1)
        if num_processes < 2 or not getattr(distribution, "auto_shard_dataset", False):
            return
        raise OptionError(
            f"Keras divides the data among {num_processes} processes by index. This {type(self).__name__} serves "
            "batches in the order in which they are asked for, so all processes would train on the same samples. "
            f"Set `auto_shard_dataset=False` of {type(distribution).__name__}, and train on `sequence.shard()`, the "
            "share of this process in every batch. Received: auto_shard_dataset=True"
        )

    @property
    def workers(self) -> int:
        """The number that Keras reads, always 1. The number of loading threads is `num_workers`."""
        return 1

    @workers.setter
    def workers(self, value: int) -> NoReturn:
        raise AttributeError(
            f"`workers` can only be set in the constructor: {type(self).__name__}(..., workers={value!r})"
        )

    @property
    def use_multiprocessing(self) -> bool:
        """The value that Keras reads, always `False`."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> NoReturn:
        raise AttributeError("`use_multiprocessing` is always False: samples are loaded in threads, see `workers`.")

    @property
    def max_queue_size(self) -> int:
        """The largest number of batches made ahead of time. `memory_limit` may allow fewer."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> NoReturn:
        raise AttributeError(
            f"`max_queue_size` can only be set in the constructor: {type(self).__name__}(..., max_queue_size={value!r})"
        )
