"""What every Sequence promises about `last_batch="pad"`: the batches of "keep", filled with rows of weight 0."""

import functools

import numpy as np
import pytest
from contracts.numbered import LABELS, NUM_SAMPLES, NumberedSamples
from contracts.reading import add_noise, assert_resumes_everywhere
from products import few_of_product

import keras_oocore as ko
from keras_oocore.batches.weights import weight_shape
from keras_oocore.core.errors import OptionError


def first_half(x, y, rng):
    """A transform that changes the number of rows."""
    return x[: len(x) // 2], y[: len(y) // 2]


class PaddingContract(NumberedSamples):
    """Tests of `last_batch="pad"` and `last_batch="pad_for_evaluation"`."""

    @few_of_product(
        "batch_size, shuffle, workers",
        [(4, True, 0), (4, "block", 3), (1, False, 3), (64, True, 0)],
        *([4, 1, 64], [True, "block", False], [0, 3]),
    )
    def test_padded_batches_are_those_of_keep_and_their_rows_again(self, make, batch_size, shuffle, workers):
        options = dict(batch_size=batch_size, shuffle=shuffle, workers=workers, transform=add_noise, dtype="float32")
        kept, padded, evaluated = (
            make(last_batch=last_batch, **options) for last_batch in ("keep", "pad", "pad_for_evaluation")
        )
        assert len(padded) == len(kept)
        for _ in range(2):
            for (x, y), batch, of_evaluation in zip(kept, padded, evaluated, strict=True):
                rows = np.arange(batch_size) % len(x)
                for padded_x, padded_y, weight in (batch, of_evaluation):
                    assert padded_x.tobytes() == x[rows].tobytes()
                    assert padded_y.tolist() == y[rows].tolist()
                    assert (weight.shape, weight.dtype) == (weight_shape(padded_y.shape), np.float32)
                    assert not weight[len(x) :].any()
                np.testing.assert_allclose(batch[2][: len(x)], batch_size / len(x))
                np.testing.assert_allclose(of_evaluation[2][: len(x)], len(kept) * batch_size / NUM_SAMPLES)

    @few_of_product(
        "sizes, last_batch",
        [((4, 1), "pad"), ((4, 2), "pad_for_evaluation"), ((8, 4), "pad"), ((8, 8), "pad_for_evaluation")],
        *([(4, 1), (4, 2), (8, 4), (8, 8)], ["pad", "pad_for_evaluation"]),
    )
    def test_joined_padded_shards_are_the_batches_of_one_process(self, make, sizes, last_batch):
        """With 8 shards of a last batch of 2 samples, 6 shards have only padding."""
        batch_size, num_shards = sizes
        whole = make(batch_size=batch_size, last_batch=last_batch, transform=ko.per_sample(add_noise), dtype="float32")
        shards = [whole.shard(index, num_shards) for index in range(num_shards)]

        assert {len(shard) for shard in shards} == {len(whole)}
        for _ in range(2):
            for batch, *parts in zip(whole, *shards, strict=True):
                for array, *arrays in zip(batch, *parts, strict=True):
                    assert {len(part) for part in arrays} == {batch_size // num_shards}
                    assert array.tobytes() == np.concatenate(arrays).tobytes()

    def test_partitions_have_every_sample_once(self, make):
        numbers = []
        for part in make(last_batch="pad").partition(2):
            for x, _, weight in part:
                assert len(x) == 4
                numbers += np.array(self.numbers(x))[weight.ravel() > 0].tolist()

        assert sorted(numbers) == list(range(NUM_SAMPLES))

    def test_a_state_resumes_with_the_next_padded_batch(self, make):
        assert_resumes_everywhere(functools.partial(make, last_batch="pad", transform=add_noise, workers=2))

    def test_a_state_of_one_process_continues_in_shards(self, make):
        whole = make(last_batch="pad")
        loop = iter(whole)
        next(loop)
        shards = [make(last_batch="pad").shard(index, 4) for index in range(4)]
        for shard in shards:
            shard.load_state_dict(whole.state_dict())

        for batch, *parts in zip(loop, *shards, strict=True):
            assert self.numbers(batch[0]) == [number for part in parts for number in self.numbers(part[0])]

    def test_other_weights_are_multiplied(self, make):
        by_sample = [number / 4 for number in range(NUM_SAMPLES)]
        for options in (dict(sample_weight=by_sample), dict(class_weight={0: 0.5, 2: 3.0})):
            kept, padded = make(**options), make(last_batch="pad", **options)
            for (x, _, weight), (_, _, padded_weight) in zip(kept, padded, strict=True):
                np.testing.assert_allclose(padded_weight, [*(weight * 4 / len(x)), *[0] * (4 - len(x))], rtol=1e-6)

    def test_served_samples_are_those_of_every_row(self, make):
        sequence = make(last_batch="pad")
        rows = [self.numbers(x) for x, *_ in sequence]
        names = make(shuffle=False, batch_size=10).filenames(0)

        assert sequence.served_samples.tolist() == [number for batch in rows for number in batch]
        sequence = make(last_batch="pad")
        assert sequence.filenames(2) == [names[number] for number in rows[2]]

    def test_nested_arrays_are_filled(self, make):
        def nested(x, y, rng):
            return {"a": x, "b": (x, y)}, {"c": y, "d": [y, y[:, np.newaxis]]}

        x, y, weight = make(last_batch="pad", shuffle=False, transform=nested)[2]

        assert self.numbers(x["a"]) == self.numbers(x["b"][0]) == [8, 9, 8, 9]
        assert x["b"][1].tolist() == y["c"].tolist() == y["d"][0].tolist() == [2, 2, 2, 2]
        assert y["d"][1].shape == (4, 1)
        assert weight.tolist() == [2, 2, 0, 0]

    def test_parts_for_validation_have_the_weights_of_evaluation(self, make):
        training, validation = make(last_batch="pad").split(validation_split=0.3, seed=1)
        subset = make(last_batch="pad", validation_split=0.3, subset="validation")

        assert "last_batch='pad'" in repr(training)
        assert [weight.ravel().tolist() for *_, weight in training][1] == pytest.approx([4 / 3, 4 / 3, 4 / 3, 0])
        for part in (validation, subset):
            assert "last_batch='pad_for_evaluation'" in repr(part)
            assert [weight.ravel().tolist() for *_, weight in part] == [pytest.approx([4 / 3, 4 / 3, 4 / 3, 0])]
        assert "last_batch='pad'" in repr(make(last_batch="pad", validation_split=0.3, subset="training"))

    def test_batches_without_labels_cannot_be_padded(self, make):
        for last_batch in ("pad", "pad_for_evaluation"):
            with pytest.raises(
                OptionError, match=r"Keras takes weights only with labels. Received: no labels. Use last"
            ):
                make(labels=None, last_batch=last_batch)
        of_x = make(labels=None, last_batch="pad", transform=lambda x, y, rng: (x, x), shuffle=False)
        assert self.numbers(of_x[2][1]) == [8, 9, 8, 9]
        with pytest.raises(OptionError, match="Keras takes weights only with labels"):
            make(labels=None, last_batch="pad", transform=add_noise)[0]

    def test_a_transform_that_changes_the_number_of_rows_is_an_error(self, make):
        for index in (0, 2):
            with pytest.raises(OptionError, match='With last_batch="pad", `transform` should return as many rows'):
                make(last_batch="pad", transform=first_half)[index]

    def test_repr_has_the_weights_of_padding(self, make):
        text = repr(make(last_batch="pad", batch_size=64))

        assert "1 batch of 64, shuffled, seed=7, last_batch='pad'" in text
        assert "y int32 (64,), sample_weight float32 (64,)\n" in text
        assert "weights from class_weight float32" in repr(make(last_batch="pad", class_weight="balanced"))

    def test_labels_stay_with_their_samples(self, make):
        for x, y, _ in make(last_batch="pad"):
            assert y.tolist() == [LABELS[number] for number in self.numbers(x)]
