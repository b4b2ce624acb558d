"""`DividedSamples`: parts of the samples: without some, in random order, or for training, validation and testing."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from keras_oocore.core.keywords import answers
from keras_oocore.manifest import splits
from keras_oocore.manifest.folds import fold_indices
from keras_oocore.manifest.kept_samples import kept_samples
from keras_oocore.manifest.samples import Samples


class DividedSamples(Samples):
    """Samples that can be shuffled and divided. Each part is a manifest."""

    def without(self, files: Iterable[Any]) -> Self:
        """Returns a manifest without some of the samples, such as those that `ko.check` found.

        Of each group in `report.duplicates`, the first file by name stays. Groups with files of several classes
        (`report.conflicts`) stay as they are, with a warning, because it is not known which class is right.

        Args:
            files: `report.bad`, `report.duplicates` or `report.leaks` of a `CheckReport`, or a list of filenames.
                Filenames that the manifest does not have are ignored.

        Raises:
            OptionError: If `files` contains something else.

        >>> import keras_oocore as ko
        >>> manifest = ko.Manifest.from_arrays(["a.png", "b.png", "c.png"], ["cat", "cat", "dog"])
        >>> manifest.without(["b.png"]).filenames.tolist()
        ['a.png', 'c.png']
        """
        return self.take(kept_samples(self.filenames, files))

    def shuffle(self, seed: int | None = None) -> Self:
        """Returns a manifest of the same samples in random order.

        Args:
            seed: Random seed. Defaults to a seed from Python's `random`, which `keras.utils.set_random_seed` seeds.

        >>> import keras_oocore as ko
        >>> ko.Manifest.from_arrays(["a.png", "b.png", "c.png"]).shuffle(seed=0).filenames.tolist()
        ['c.png', 'a.png', 'b.png']
        """
        return self.take(np.random.default_rng(splits.as_seed(seed)).permutation(len(self)))

    @answers(splits.WORDS)
    def split(
        self,
        validation_split: float | int | None = None,
        test_split: float | int | None = None,
        stratify: bool | Sequence[Any] | np.ndarray = True,
        groups: Sequence[Any] | np.ndarray | None = None,
        seed: int | None = None,
        shuffle: bool = True,
    ) -> tuple[Self, ...]:
        """Splits the samples into training, validation and test parts.

        Args:
            validation_split: Fraction (float) or number (int) of samples to use for validation.
            test_split: Fraction (float) or number (int) of samples to use for testing.
            stratify: Whether each part has the same proportion of each class. Pass an array with one class per sample
                to use these classes instead of the labels. Has no effect without labels. Defaults to `True`.
            groups: Array with one group per sample. Samples of one group (such as one patient or one video) stay in
                the same part.
            seed: Random seed. Defaults to a seed from Python's `random`.
            shuffle: Whether to draw the parts at random. If `False`, the last samples are split off, in order, which
                requires `stratify=False`. Defaults to `True`.

        Returns:
            A tuple of manifests: `(train, validation)`, `(train, test)` or `(train, validation, test)`. Their `columns`
            (such as sample weights) are those of their samples, and `indices` tells which samples they are.

        Raises:
            OptionError: If a part would be empty or too large, a class is too small to stratify, or the labels are not
                classes.

        >>> import keras_oocore as ko
        >>> manifest = ko.Manifest.from_arrays(["a.png", "b.png", "c.png", "d.png"], ["cat", "cat", "dog", "dog"])
        >>> train, val = manifest.split(validation_split=0.5, seed=0)
        >>> sorted(train.labels), sorted(val.labels)
        ([np.int32(0), np.int32(1)], [np.int32(0), np.int32(1)])
        """
        strata, own = splits.as_strata(stratify, self.labels, len(self))
        class_names = self.class_names if own else None
        parts = splits.split_indices(
            len(self), validation_split, test_split, strata, groups, seed, shuffle, class_names
        )
        return tuple(self.take(part) for part in parts)

    def folds(
        self,
        n: int,
        stratify: bool | Sequence[Any] | np.ndarray = True,
        groups: Sequence[Any] | np.ndarray | None = None,
        seed: int | None = None,
    ) -> list[tuple[Self, Self]]:
        """Returns training and validation manifests for a cross-validation.

        Each sample is in the validation part of one fold. For Sequences with one cache for all folds, use `folds` of a
        Sequence.

        Args:
            n: Number of folds.
            stratify: Whether each part has the same proportion of each class, or an array with one class per sample.
                Has no effect without labels. Defaults to `True`.
            groups: Array with one group per sample. Samples of one group stay in the same part.
            seed: Random seed. Defaults to a seed from Python's `random`.

        Returns:
            A list of `n` tuples `(train, validation)`. The samples of a part have the order of this manifest.

        Raises:
            OptionError: If there are too few samples, groups, or samples of a class.

        >>> import keras_oocore as ko
        >>> manifest = ko.Manifest.from_arrays(["a.png", "b.png", "c.png", "d.png"], ["cat", "cat", "dog", "dog"])
        >>> [val.filenames.tolist() for train, val in manifest.folds(2, seed=0)]
        [['b.png', 'c.png'], ['a.png', 'd.png']]
        """
        strata, own = splits.as_strata(stratify, self.labels, len(self))
        parts = fold_indices(len(self), n, strata, groups, seed, self.class_names if own else None)
        return [(self.take(train), self.take(val)) for train, val in parts]
