"""What every Source promises, as tests that the test class of each Source inherits."""

import concurrent.futures
import json
import pickle

import cloudpickle
import numpy as np
import pytest

from keras_oocore.core.errors import SampleError

NUM_SAMPLES = 10


class SourceContract:
    """The contract of `keras_oocore.sources.base.Source`.

    A subclass implements `open`: ten samples, where every value of sample `i` is `first + i`. If the Source
    has no `select`, it sets `can_select = False`.
    """

    can_select = True

    def open(self, folder, first=0):
        """Write the samples into an empty folder and return a Source of them."""
        raise NotImplementedError

    def reopen(self, folder, first=0):
        """Return another Source of the same samples, as the next run of a program does."""
        return self.open(folder, first)

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "samples"
        folder.mkdir()
        return folder

    @pytest.fixture
    def source(self, folder):
        source = self.open(folder)
        yield source
        source.close()

    def read(self, source, samples):
        """The number in each row; all values of a row are checked."""
        samples = np.asarray(samples, dtype=np.int64)
        out = np.full((len(samples), *source.spec.shape), 77, source.spec.dtype)
        assert source.read(samples, out) == {}
        for row in out:
            assert (row == row.flat[0]).all()
        return [int(row.flat[0]) for row in out]

    # What there is

    def test_length_is_the_number_of_samples(self, source):
        assert len(source) == NUM_SAMPLES

    def test_spec_is_a_shape_and_a_native_dtype(self, source):
        shape, dtype = source.spec

        assert isinstance(shape, tuple)
        assert all(isinstance(size, int) for size in shape)
        assert isinstance(dtype, np.dtype)
        assert dtype.isnative

    def test_names_are_distinct_strings(self, source):
        names = [source.name(sample) for sample in range(NUM_SAMPLES)]

        assert all(isinstance(name, str) for name in names)
        assert len(set(names)) == NUM_SAMPLES

    def test_capabilities_have_values(self, source):
        assert source.rows_per_task >= 1
        assert isinstance(source.groups_batches, bool)
        assert isinstance(source.cached, bool)

    # Reading

    def test_read_fills_each_row_with_its_sample(self, source):
        for samples in ([3], [*range(10)], [9, 0, 5], [3, 3, 3], [1, 8, 1], []):
            assert self.read(source, samples) == samples

    def test_read_fills_a_slice_of_a_larger_buffer_and_nothing_else(self, source):
        out = np.full((6, *source.spec.shape), 77, source.spec.dtype)

        assert source.read(np.array([4, 2]), out[2:4]) == {}
        assert [row.flat[0] for row in out] == [77, 77, 4, 2, 77, 77]

    def test_read_accepts_samples_of_any_integer_dtype(self, source):
        for dtype in ("int32", "int64", "uint32"):
            out = np.zeros((2, *source.spec.shape), source.spec.dtype)
            assert source.read(np.array([7, 1], dtype), out) == {}
            assert [row.flat[0] for row in out] == [7, 1]

    def test_several_threads_read_at_once(self, source):
        orders = [np.random.default_rng(seed).permutation(NUM_SAMPLES).tolist() for seed in range(20)]
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            rows = list(threads.map(lambda order: self.read(source, order), orders, timeout=300))

        assert rows == orders

    def test_prefetch_changes_no_row(self, source):
        source.prefetch([0])

        assert self.read(source, [2, 9]) == [2, 9]

    # Order and parts of a batch

    def test_order_has_every_sample_once_per_epoch(self, source):
        for shuffle in (True, False, "block"):
            order = source.order(shuffle, seed=3, batch_size=4)
            for epoch in range(2):
                samples = order.samples(epoch, 0, order.size)
                assert sorted(samples.tolist()) == list(range(NUM_SAMPLES))
                assert shuffle or samples.tolist() == list(range(NUM_SAMPLES))

    def test_unpack_keeps_the_rows(self, source):
        rows = np.zeros((3, *source.spec.shape), source.spec.dtype)
        x, _, _ = source.unpack(rows, np.array([1, 4, 2]))

        assert len(x) == 3

    # Identity

    def test_fingerprint_is_plain_json(self, source):
        fingerprint = source.fingerprint()

        assert isinstance(fingerprint, dict)
        assert json.loads(json.dumps(fingerprint)) == fingerprint

    def test_fingerprint_is_stable(self, source, folder):
        before = source.fingerprint()
        self.read(source, [3, 1])
        again = self.reopen(folder)

        assert source.fingerprint() == before == again.fingerprint()
        again.close()

    def test_fingerprint_differs_for_other_samples(self, source, tmp_path):
        (tmp_path / "others").mkdir()
        others = self.open(tmp_path / "others", first=100)

        assert others.fingerprint() != source.fingerprint()
        others.close()

    # Copies

    def test_a_pickled_source_reads_the_same_samples(self, source):
        self.read(source, [1])
        for pickler in (pickle, cloudpickle):
            again = pickle.loads(pickler.dumps(source))

            assert len(again) == NUM_SAMPLES
            assert again.spec == source.spec
            assert again.fingerprint() == source.fingerprint()
            assert self.read(again, [9, 4]) == [9, 4]
            again.close()

    def test_select_numbers_the_samples_in_the_order_given(self, source):
        if not self.can_select:
            with pytest.raises(NotImplementedError, match="does not support `select`"):
                source.select(np.array([1]))
            return
        names = [source.name(sample) for sample in range(NUM_SAMPLES)]
        selected = source.select(np.array([7, 2, 5]))

        assert len(selected) == 3
        assert selected.spec == source.spec
        assert self.read(selected, [2, 0, 1]) == [5, 7, 2]
        assert [selected.name(sample) for sample in range(3)] == [names[7], names[2], names[5]]
        assert selected.fingerprint() != source.fingerprint()
        assert self.read(selected.select(np.array([1])), [0]) == [2]
        assert self.read(source, [0, 9]) == [0, 9]  # unchanged

    def test_close_may_be_called_twice_and_reading_opens_the_source_again(self, source):
        self.read(source, [1])
        source.close()
        source.close()

        assert self.read(source, [8, 3]) == [8, 3]


class FallibleSourceContract(SourceContract):
    """The contract of a Source whose samples can be unreadable. A subclass implements `damage` too."""

    def damage(self, folder, sample):
        """Make a sample unreadable, in a Source that is already open."""
        raise NotImplementedError

    def test_an_unreadable_sample_is_an_error_of_its_row_and_other_rows_are_read(self, source, folder):
        self.damage(folder, 5)
        out = np.full((4, *source.spec.shape), 77, source.spec.dtype)

        for _ in range(2):
            failed = source.read(np.array([4, 5, 6, 5]), out)
            assert sorted(failed) == [1, 3]
            for error in failed.values():
                assert isinstance(error, SampleError)
                assert str(error).startswith(f"Cannot read sample 5, {source.name(5)!r}: ")
            assert [out[row].flat[0] for row in (0, 2)] == [4, 6]

    def test_errors_of_rows_pickle(self, source, folder):
        self.damage(folder, 5)
        out = np.zeros((1, *source.spec.shape), source.spec.dtype)
        error = source.read(np.array([5]), out)[0]

        assert str(pickle.loads(pickle.dumps(error))) == str(error)
