"""Sequences of files with a cache are read as Sequences of files are."""

import itertools

import inside_sequence as inside
from contracts.files import FileReadingContract, SingleFileContract
from contracts.numbered import CLASS_NAMES, LABELS
from contracts.passes import PassContract
from drawing import SIZE, draw, numbers_in

import keras_oocore as ko


class TestCachedImages(FileReadingContract):
    """A Sequence of files whose cache is being filled. Each Sequence has its own cache."""

    caches = itertools.count()

    def prepare(self, folder):
        for number, label in enumerate(LABELS):
            draw(folder / CLASS_NAMES[label] / f"{number}.png", number)

    def open(self, folder, **options):
        cache = folder.parent / f"cache {next(self.caches)}"
        return ko.ImageFolderSequence(folder, **{"image_size": SIZE, "cache": cache, **options})

    def numbers(self, x):
        return numbers_in(x)


class TestFilledCache(SingleFileContract, PassContract):
    """A Sequence of files with a full cache. Damaged files are detected because they changed.

    Its rows are read as those of a packed store, which passes the whole contract: see test_packed.py.
    """

    prepare = TestCachedImages.prepare
    numbers = TestCachedImages.numbers

    def open(self, folder, **options):
        opened = TestCachedImages.open(self, folder, **options)
        for sequence in opened if isinstance(opened, tuple) else [opened]:
            sequence.pack(inside.cache(sequence).directory)
        return opened

    caches = itertools.count()

    # A file that changes after its row was stored is not read again: see test_cache.py.
    test_file_paths_are_in_the_order_of_the_samples = None
    test_an_unreadable_file_is_named_and_other_batches_can_be_read = None
    test_a_deleted_file_is_named = None
    test_padded_batches_have_no_bad_samples = None
