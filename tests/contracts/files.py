"""What Sequences promise whose samples are files, each named by `file_paths`."""

import os
import re
import warnings
from pathlib import Path

import inside_sequence as inside
import numpy as np
import pytest
from contracts.numbered import LABELS, NUM_SAMPLES
from contracts.reading import as_bytes
from contracts.sampling import SamplingContract
from contracts.sequences import ReadingContract, SequenceContract
from contracts.served import ServedContract
from products import few_of_product

from keras_oocore.core.errors import OptionError, SampleError


class SingleFileContract(ServedContract):
    """What is promised about single files."""

    def damage(self, path):
        """Make a file unreadable."""
        with open(path, "wb") as file:
            file.write(b"not what it was")

    def test_file_paths_are_in_the_order_of_the_samples(self, make):
        sequence = make(shuffle=False)
        paths = sequence.file_paths

        assert isinstance(paths, list)
        assert len(paths) == NUM_SAMPLES
        given = [name for index in range(3) for name in sequence.filenames(index)]
        assert all(path.endswith(name) for path, name in zip(paths, given, strict=True))
        self.damage(paths[6])
        with pytest.raises(SampleError, match=re.escape(paths[6])):
            sequence[1]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_an_unreadable_file_is_named_and_other_batches_can_be_read(self, make, workers):
        sequence = make(shuffle=False, workers=workers)
        path = sequence.file_paths[5]
        self.damage(path)

        for _ in range(2):
            with pytest.raises(
                SampleError, match=rf"Cannot read sample 5, {re.escape(repr(path))}: .*Fix or remove it"
            ):
                sequence[1]
        assert self.numbers(sequence[0][0]) == [0, 1, 2, 3]
        assert self.numbers(sequence[2][0]) == [8, 9]

    def test_a_deleted_file_is_named(self, make, tmp_path):
        sequence = make(shuffle=False)
        path = sequence.file_paths[9]
        (tmp_path / path).unlink()

        with pytest.raises(
            SampleError, match=rf"Cannot read sample 9, {re.escape(repr(path))}: .*(not found|No such file)"
        ):
            list(sequence)

    def test_on_error_skip_and_replace_list_the_bad_samples(self, make):
        options = dict(shuffle=False, sample_weight=np.arange(10) / 4)
        skipping, replacing = make(on_error="skip", **options), make(on_error="replace", **options)
        paths = skipping.file_paths
        for number in (5, 9):
            self.damage(paths[number])
        for sequence, expected in (
            (skipping, [[0, 1, 2, 3], [4, 6, 7], [8]]),
            (replacing, [[0, 1, 2, 3], [4, 6, 6, 7], [8, 0]]),
        ):
            assert len(sequence) == 3
            batches = list(sequence)
            assert [self.numbers(x) for x, _, _ in batches] == expected
            assert [y.tolist() for _, y, _ in batches] == [[LABELS[n] for n in numbers] for numbers in expected]
            assert [(weight * 4).tolist() for _, _, weight in batches] == expected
            assert [path for path, _ in sequence.bad_samples] == [paths[5], paths[9]]
            assert all(reason and path not in reason for path, reason in sequence.bad_samples)

    def test_padded_batches_have_no_bad_samples(self, make):
        options = dict(shuffle=False, last_batch="pad")
        skipping, replacing = make(on_error="skip", **options), make(on_error="replace", **options)
        for number in (5, 9):
            self.damage(skipping.file_paths[number])

        for sequence, expected, num_real in (
            (skipping, [[0, 1, 2, 3], [4, 6, 7, 4], [8, 8, 8, 8]], [4, 3, 1]),
            (replacing, [[0, 1, 2, 3], [4, 6, 6, 7], [8, 0, 8, 0]], [4, 4, 2]),
        ):
            batches = list(sequence)
            assert [self.numbers(x) for x, _, _ in batches] == expected
            for (_, _, weight), real in zip(batches, num_real):
                np.testing.assert_allclose(weight.ravel(), [*[4 / real] * real, *[0] * (4 - real)])
            assert sequence.served_samples.tolist() == [number for batch in expected for number in batch]
        with pytest.raises(OptionError, match=r'their number must be known before .*Use on_error="replace"'):
            make(on_error="skip", last_batch="pad_for_evaluation")
        with pytest.raises(SampleError, match="Cannot read sample 9"):
            make(**options)[2]

    def test_replaced_samples_do_not_depend_on_the_number_of_workers(self, make):
        paths = make().file_paths
        for number in (1, 2, 7):
            self.damage(paths[number])
        by_workers = [as_bytes(make(on_error="replace", workers=workers, batch_size=3)) for workers in (0, 1, 4)]

        assert by_workers[0] == by_workers[1] == by_workers[2]

    def test_a_batch_of_bad_files_alone_is_an_error(self, make):
        sequence = make(shuffle=False, on_error="skip")
        for path in sequence.file_paths[4:8]:
            self.damage(path)

        with pytest.raises(
            SampleError, match=r"None of the 4 samples of a batch can be read\. The first error: Cannot read sample 4"
        ):
            sequence[1]
        assert self.numbers(sequence[2][0]) == [8, 9]

    def test_an_exception_that_a_user_keeps_leaves_no_thread(self, make):
        sequence = make(shuffle=False, workers=2, batch_size=1)
        self.damage(sequence.file_paths[4])
        threads = set()
        with pytest.raises(SampleError) as held:  # noqa: PT012
            for _ in sequence:
                threads |= inside.threads(sequence)
        sequence.close()

        assert threads
        assert not any(thread.is_alive() for thread in threads)
        assert held.value.__traceback__ is not None

    def test_a_file_that_is_fixed_is_read_again(self, make):
        """Batches of the next passes were made from the damaged file. They are dropped with the error."""
        sequence = make(workers=2, batch_size=1)
        path = Path(sequence.file_paths[5])
        content, changed = path.read_bytes(), path.stat().st_mtime_ns
        self.damage(path)
        with pytest.raises(SampleError, match="Cannot read sample 5"):  # noqa: PT012
            for _ in sequence:
                inside.wait_for_batches_ahead(sequence)
        path.write_bytes(content)
        os.utime(path, ns=(changed, changed))

        for _ in range(2):
            assert sorted(number for batch in self.epoch_of(sequence) for number in batch) == list(range(NUM_SAMPLES))

    @few_of_product(
        "shuffle, on_error, workers",
        [(True, "skip", 0), (True, "replace", 2), (False, "skip", 2), (False, "replace", 0)],
        *([True, False], ["skip", "replace"], [0, 2]),
    )
    def test_served_paths_know_skipped_and_replaced_files(self, make, shuffle, on_error, workers):
        sequence = make(shuffle=shuffle, on_error=on_error, workers=workers)
        paths = sequence.file_paths
        for number in (5, 8):
            self.damage(paths[number])

        for _ in range(2):
            batches = list(sequence)
            served = self.served(batches)
            assert sequence.served_samples.tolist() == served
            assert sequence.served_paths == [paths[number] for number in served]
            assert sequence.served_labels.tolist() == [label for _, y in batches for label in y]
            assert {5, 8}.isdisjoint(served)
            assert len(served) == (8 if on_error == "skip" else 10)

    def test_a_pass_after_a_file_was_fixed_tells_what_it_served(self, make):
        sequence = make(on_error="skip", shuffle=False, workers=0)
        path = sequence.file_paths[5]
        with open(path, "rb") as file:
            content = file.read()
        self.damage(path)
        list(sequence)
        with open(path, "wb") as file:
            file.write(content)

        served = self.served(sequence)
        assert sequence.served_samples.tolist() == served  # a cache may remember the file as unreadable
        assert set(served) | {5} == set(range(NUM_SAMPLES))

    def test_a_skipped_file_without_shuffling_is_named_in_one_warning(self, make):
        path = make().file_paths[5]
        opened = {name: (make(shuffle=False, on_error=name), make(on_error=name)) for name in ("skip", "replace")}
        self.damage(path)

        for name, (sequence, shuffled) in opened.items():
            with pytest.warns(UserWarning, match=rf"{re.escape(repr(path))} is .*on_error='{name}'.*`served_paths`"):
                list(sequence)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                list(sequence)
                list(shuffled)


class FileReadingContract(SingleFileContract, ReadingContract):
    """The part of the contract that depends on how files are read."""


class FileContract(SingleFileContract, SequenceContract, SamplingContract):
    """The whole contract of a Sequence of files."""
