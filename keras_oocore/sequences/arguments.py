"""The arguments that several Sequences share. Types, defaults and documentation are written once, here."""

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar

import numpy as np

from keras_oocore.batches.options import LastBatch, OnError, Shuffle
from keras_oocore.batches.transform import Transforms
from keras_oocore.core.errors import OptionError
from keras_oocore.core.faults import RETRIES
from keras_oocore.core.shared_arguments import shares_arguments
from keras_oocore.core.text import did_you_mean, shown
from keras_oocore.sequences.sampling import SamplingArgument
from keras_oocore.sequences.synonyms import answer

Subset = Literal["training", "validation"]


class ThreadArguments(TypedDict, total=False):
    """Which threads make batches, and with how much memory."""

    memory_limit: int | str | None
    workers: int | None
    use_multiprocessing: bool


class LoadingArguments(ThreadArguments, total=False):
    """How batches are made ahead of time."""

    max_queue_size: int


class OrderArguments(TypedDict, total=False):
    """Which samples come next, in every Sequence."""

    batch_size: int
    shuffle: Shuffle
    seed: int | None


class OutputArguments(TypedDict, total=False):
    """What is done to a batch, in every Sequence."""

    transform: Transforms
    last_batch: LastBatch


class BatchArguments(OrderArguments, OutputArguments, total=False):
    """How samples become batches, in every Sequence."""


class ValueArguments(TypedDict, total=False):
    """The values and weights of samples with a label each, and what to do about unreadable ones."""

    rescale: float | None
    sample_weight: Sequence[float] | np.ndarray | None
    class_weight: Mapping[int, float] | Literal["balanced"] | None
    sampling: SamplingArgument
    samples_per_epoch: int | None
    on_error: OnError


class SubsetArguments(BatchArguments, ValueArguments, total=False):
    """Which samples with a label each become batches, and how."""

    validation_split: float | None
    subset: Subset | None
    dtype: Any


class SampleArguments(SubsetArguments, LoadingArguments, total=False):
    """How samples with a label each become batches."""


class ArrayArguments(SubsetArguments, ThreadArguments, total=False):
    """How rows of an array with a label each become batches."""

    max_queue_size: int | None  # chosen by the size of a batch
    cache: str | os.PathLike[str] | None
    overwrite_cache: bool


class ReadingArguments(TypedDict, total=False):
    """How files are read, and cached."""

    retries: int
    overwrite_cache: bool


class FileArguments(SampleArguments, ReadingArguments, total=False):
    """How samples that are files become batches."""

    cache: str | os.PathLike[str] | None


DEFAULTS: dict[str, Any] = {
    "batch_size": 32,
    "shuffle": True,
    "seed": None,
    "validation_split": None,
    "subset": None,
    "rescale": None,
    "dtype": None,
    "transform": None,
    "sample_weight": None,
    "class_weight": None,
    "sampling": None,
    "samples_per_epoch": None,
    "on_error": "raise",
    "retries": RETRIES,
    "last_batch": "keep",
    "cache": None,
    "overwrite_cache": False,
    "memory_limit": None,
    "workers": None,
    "max_queue_size": 10,
    "use_multiprocessing": False,
}

DESCRIPTIONS = {
    "batch_size": "Size of the batches of data. Defaults to `{default}`.",
    "shuffle": '`True` for a new global order every epoch, `False` for the order on disk, or `"block"` for runs of '
    "neighbors in random order, for disks that seek slowly. Defaults to `True`.",
    "seed": "Random seed of the order, the split and `transform`. `None` draws a seed from Python's `random`, which "
    "`keras.utils.set_random_seed` controls. `sequence.seed` is the seed in use.",
    "validation_split": "Fraction of the samples to reserve for validation, with `subset` and `seed`. `split()` of the "
    "Sequence, or `Manifest.split`, can also keep the proportions of the classes, or groups together.",
    "subset": '`"training"` or `"validation"`, with `validation_split`.',
    "rescale": "Factor to multiply samples by, such as `1/255`. The samples are then `float32`.",
    "dtype": 'Dtype of the samples, such as `"float32"` for a subclassed model, which does not cast integers.',
    "transform": "Function `transform(x, y, rng)` that returns `(x, y)`. It is called with every batch after `rescale` "
    "and `dtype`, in the loading threads, with a `numpy.random.Generator` that depends on seed, epoch and batch: with "
    "another `batch_size`, the same sample is transformed differently. `y` is `None` without labels. "
    "`ko.per_sample(f)` makes a transform from a function of one sample, whose draws depend on seed, epoch and sample. "
    '`ko.augment(flip="horizontal", rotation=0.05)` changes images. A list of transforms is applied in its order. '
    "A layer of Keras or an `albumentations.Compose` is called per image.",
    "sample_weight": "Weights of the samples, an array of shape `(num_samples,)`, in the order before `subset`. "
    "Defaults to `sample_weight` of the `Manifest`, if there is one.",
    "class_weight": 'Dictionary from class index to weight, or `"balanced"`. Do not also pass `class_weight` to `fit`.',
    "sampling": '`"balanced"` draws every class equally often in each epoch, with a difference of one draw at most: a '
    "sample of a small class several times, and one of a large class in some epochs only. An array with one weight per "
    "sample, in the order before `subset`, draws each sample in proportion to its weight. By default, each sample is "
    "drawn once per epoch.",
    "samples_per_epoch": "Number of draws per epoch, with `sampling`. Defaults to the number of samples.",
    "on_error": 'How to handle files that cannot be read. `"raise"`: raise an error that names the file. `"skip"`: '
    'leave the sample out, which makes the batch shorter. `"replace"`: use the next readable sample of the order '
    "instead. `bad_samples` lists these files. Too many open files and too little memory are always errors.",
    "retries": "How often reading a file is tried again, after a short pause, if the disk or the network fails. Files "
    "that are damaged or missing are not tried again. Defaults to `{default}`.",
    "last_batch": 'What to do with a last batch that is not full. `"keep"`: serve it. `"drop"`: leave it out. `"pad"`, '
    "to train: repeat its samples until it is full. Batches are `(x, y, sample_weight)`, and the repetitions have the "
    'weight 0. `"pad_for_evaluation"`: the same for `validation_data` and `evaluate`, with the weights that make the '
    'loss and `weighted_metrics` exact. With `"pad"`, `split` and `subset` use it for the data that are not for '
    'training. Defaults to `"keep"`.',
    "cache": "Directory that stores the decoded samples during the first epoch. Later epochs and runs read from it, "
    "and a run that was stopped resumes. Damaged files are remembered until they change; missing files, and files "
    "whose disk fails, are read again. Use a separate directory for each set of files and options. A subset is "
    "stored in a directory within it. `transform`, `rescale` and `dtype` are applied after the cache.",
    "overwrite_cache": "Whether to replace an existing cache. Otherwise a cache of other data is an error.",
    "memory_limit": 'Limit of all batches in flight, in bytes or as a string such as `"128MB"`. Defaults to the '
    "smaller of 512 MB and a tenth of the memory of this machine. Decoding needs one image per thread in addition, "
    "and arrays that `transform` makes are not counted.",
    "workers": "Number of loading threads. Defaults to the number of available cores. With `0`, the thread that asks "
    "for a batch loads it.",
    "max_queue_size": "The largest number of batches made ahead of time. Defaults to `{default}`.",
    "use_multiprocessing": "Accepted for compatibility with Keras. Threads are used, with a warning.",
}

REQUIRED = {  # argument without a default → what to pass
    "data": "pass the folder, the files or the rows as the first argument",
    "target": "name the column to predict, target='price', or pass target=None for rows without one",
    "labels": "pass one label per row, or labels=None",
}

F = TypeVar("F", bound=Callable)


def shares(arguments: type, all_defaults: Mapping[str, Any] = DEFAULTS, **defaults: Any) -> Callable[[F], F]:
    """Return a decorator for a function, or an `__init__`, that takes shared arguments as `**shared`.

    The function receives all of them, with their defaults filled in. `inspect.signature` shows them, and an unknown
    keyword raises an `OptionError`.

    Args:
        arguments: The `TypedDict` of the shared arguments.
        all_defaults: Name of an argument → its default, in the order of the signature.
        **defaults: Defaults that differ from these.
    """
    hints = arguments.__annotations__
    shared = {name: default for name, default in {**all_defaults, **defaults}.items() if name in hints}
    return shares_arguments(hints, shared, _check, REQUIRED)


def _check(keywords: Mapping[str, Any], function: Callable[..., Any]) -> None:
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    require_known(keywords, known, function.__qualname__.split(".")[0])


def documented(thing: F) -> F:
    """Replace `{shared}` in the docstring of a class or function with the descriptions of its shared arguments."""
    return describe(thing, "{shared}", DESCRIPTIONS)


def describe(thing: F, placeholder: str, descriptions: Mapping[str, str]) -> F:
    """Replace a placeholder in a docstring with the descriptions of arguments that the docstring does not have itself.

    Args:
        thing: The class or function.
        placeholder: The only word of its line.
        descriptions: Name of an argument → its description. Those that `thing` does not share are ignored.
    """
    function = thing.__init__ if isinstance(thing, type) else thing
    written = "\n".join(
        textwrap.fill(
            f"{name}: {descriptions[name].format(default=default)}",
            112,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, default in function.shared_defaults.items()
        if name in descriptions and not re.search(rf"^ {{8}}{name}: ", thing.__doc__, flags=re.MULTILINE)
    )
    thing.__doc__ = thing.__doc__.replace(" " * 8 + placeholder, written)
    return thing


def require_known(kwargs: Mapping[str, Any], known: Sequence[str], whose: str) -> None:
    """Raise an error if a keyword is not a known argument.

    Raises:
        OptionError: If there is one. The message names the argument with this meaning, or the most similar name.
    """
    for name, value in kwargs.items():
        if name not in known:
            nearest = answer(name, known) or did_you_mean(name, known)
            raise OptionError(f"{whose} has no argument `{name}`.{nearest} Received: {name}={shown(value)}")
