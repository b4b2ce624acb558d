"""What every Sequence promises about its options: scaling, labels, weights, and subsets."""

import inside_sequence as inside
import numpy as np
import pytest
from contracts.numbered import LABELS, NUM_SAMPLES, NumberedSamples

from keras_oocore.batches.per_sample import per_sample
from keras_oocore.core.errors import DataError, OptionError


class OptionContract(NumberedSamples):
    """Tests of its options."""

    def test_rescale_and_dtype(self, make):
        (plain, _), stored = make()[1], make()[1][0].dtype
        scaled, _ = make(rescale=0.5)[1]
        cast, _ = make(dtype="float16")[1]

        assert scaled.dtype == np.float32
        assert np.array_equal(scaled, plain.astype("float32") * np.float32(0.5))
        assert cast.dtype == np.float16
        assert np.array_equal(cast, plain.astype("float16"))
        assert plain.dtype == stored == inside.row_dtype(make())

    def test_transform_draws_by_seed_epoch_and_batch(self, make):
        def draws(**options):
            sequence = make(transform=lambda x, y, rng: (x, rng.random(2)), **options)
            return [tuple(y) for _ in range(2) for _, y in sequence]

        assert draws() == draws(workers=0) == draws(shuffle=False)
        assert len(set(draws() + draws(seed=8))) == 12
        with pytest.raises(OptionError, match=r"`transform\(x, y, rng\)` should return a tuple \(x, y\)"):
            make(transform=lambda x, y, rng: x)[0]

    def test_per_sample_transform_draws_by_seed_epoch_and_sample(self, make):
        def draws(*sequences):
            return [
                {
                    number: draw
                    for sequence in sequences
                    for x, y in sequence
                    for number, draw in zip(self.numbers(x), y)
                }
                for _ in range(2)
            ]

        options = dict(transform=per_sample(lambda x, y, rng: (x, rng.random())))
        expected = draws(make(**options))
        assert len({draw for of_epoch in expected for draw in of_epoch.values()}) == 2 * NUM_SAMPLES
        assert expected == draws(make(**options, batch_size=3, shuffle=False)) == draws(*make(**options).partition(2))

    def test_label_modes(self, make):
        y_of = {mode: make(label_mode=mode, shuffle=False)[1][1] for mode in ("int", "categorical", "raw")}

        assert (y_of["int"].tolist(), y_of["int"].dtype) == ([1, 1, 1, 2], np.int32)
        assert y_of["categorical"].tolist() == np.eye(3)[[1, 1, 1, 2]].tolist()
        assert y_of["categorical"].dtype == np.float32
        assert y_of["raw"].tolist() == [1, 1, 1, 2]
        assert make().labels.tolist() == LABELS
        with pytest.raises(OptionError, match=r'`label_mode="binary"` requires exactly 2 classes. Received: 3 classes'):
            make(label_mode="binary")
        with pytest.raises(OptionError, match=r"`label_mode` should be one of"):
            make(label_mode="sparse")

    def test_without_labels_batches_contain_x_alone(self, make):
        for options in (dict(labels=None), dict(label_mode=None), dict(labels=None, label_mode=None)):
            sequence = make(shuffle=False, **options)
            assert self.numbers(sequence[1]) == [4, 5, 6, 7]
            assert sequence.labels is None

    def test_labels_of_several_values_are_raw(self, make):
        several = np.stack([np.arange(10), np.arange(10) % 2, np.ones(10)], axis=1).astype("float32")
        x, y = make(labels=several, label_mode="raw")[1]

        assert y.dtype == np.float32
        assert y.tolist() == several[self.numbers(x)].tolist()
        with pytest.raises(
            OptionError, match=r'"int"` requires one class per sample.*shape \(10, 3\).*use label_mode="raw"'
        ):
            make(labels=several, label_mode="int")

    def test_raw_targets_keep_their_values_and_dtype(self, make):
        prices = (np.arange(10, dtype="float64") * 1000)[:, np.newaxis]
        _, y = make(labels=prices, label_mode="raw", shuffle=False)[1]

        assert y.tolist() == [[4000.0], [5000.0], [6000.0], [7000.0]]
        assert y.dtype == np.float64

    def test_labels_of_another_length_are_an_error(self, make):
        for labels in (LABELS[:-1], [*LABELS, 0]):
            with pytest.raises(
                DataError, match=rf"one label per (filename|row). Received: 10 \1s and {len(labels)} labels"
            ):
                make(labels=labels)

    def test_class_weight_gives_each_sample_the_weight_of_its_class(self, make):
        for x, y, weight in make(class_weight={0: 0.5, 2: 3.0}):
            assert weight.tolist() == [{0: 0.5, 1: 1.0, 2: 3.0}[label] for label in y.tolist()]
            assert y.tolist() == [LABELS[number] for number in self.numbers(x)]
            assert weight.dtype == np.float32
        balanced = np.concatenate([weight for _, _, weight in make(class_weight="balanced", shuffle=False)])
        np.testing.assert_allclose(balanced, [10 / 12] * 4 + [10 / 9] * 6, rtol=1e-6)
        one_hot = make(class_weight={1: 2.0}, label_mode="categorical", shuffle=False)
        assert one_hot[1][2].tolist() == [2, 2, 2, 1]

    def test_sample_weight_follows_its_sample(self, make):
        for x, _, weight in make(sample_weight=[number / 4 for number in range(10)]):
            assert (weight * 4).tolist() == self.numbers(x)

    def test_invalid_options_are_errors_of_the_constructor(self, make):
        for options, message in (
            (
                dict(class_weight="balanced", label_mode="raw"),
                "`class_weight` requires class labels. .*Use `sample_weight`",
            ),
            (dict(class_weight="balanced", label_mode=None), "`class_weight` requires class labels"),
            (dict(class_weight={5: 1.0}), "`class_weight` should map class indices .*Received: class 5"),
            (dict(class_weight={"x": 1.0}), "`class_weight` should map class indices .*Received: class 'x'"),
            (dict(class_weight="auto"), 'should be a dict or "balanced"'),
            (
                dict(class_weight="balanced", sample_weight=[1] * 10),
                "cannot both be given. Multiply them into `sample_w",
            ),
            (dict(sample_weight=[1] * 9), r"should have shape \(10,\), one weight per sample. Received: shape \(9,\)"),
            (dict(sample_weight=np.ones((10, 1))), r"shape \(10,\), one weight per sample. Received: shape \(10, 1\)"),
            (dict(sample_weight=[1] * 10, label_mode=None), "`sample_weight` requires labels. Received: no labels"),
            (dict(batch_size=0), "`batch_size` should be a positive integer. Received: batch_size=0"),
            (dict(batch_size=-4), "`batch_size` should be a positive integer. Received: batch_size=-4"),
            (dict(shuffle="batch"), "`shuffle` should be one of"),
            (dict(seed=-1), "`seed` should be an integer from 0 to 2\\*\\*32 - 1, or None. Received: seed=-1"),
            (dict(seed=0.5), "`seed` should be an integer from 0 to 2\\*\\*32 - 1, or None. Received: seed=0.5"),
            (dict(workers=-1), "`workers` should be a number of threads, 0 or more, or None. Received: workers=-1"),
            (dict(workers="all"), "`workers` should be a number of threads"),
            (dict(max_queue_size=0), "`max_queue_size` should be a positive integer. Received: max_queue_size=0"),
            (dict(memory_limit="lots"), "`memory_limit` should be a number of bytes, or a string such as"),
            (dict(memory_limit=0), "`memory_limit` should be a number of bytes, or a string such as"),
            (dict(on_error="ignore"), "`on_error` should be one of"),
            (dict(last_batch="fill"), "`last_batch` should be one of"),
            (dict(transform="flip"), "`transform` should be a function"),
            (dict(rescale="1/255"), "`rescale` should be a number, such as 1/255. Received: rescale='1/255'"),
            (dict(dtype="float99"), "`dtype` should be a NumPy dtype"),
        ):
            with pytest.raises(OptionError, match=message):
                make(**options)

    def test_subsets_are_disjoint_complete_and_repeatable(self, make):
        def samples(subset, seed=7):
            sequence = make(validation_split=0.3, subset=subset, seed=seed)
            return sorted(number for x, y in sequence for number in self.numbers(x))

        training, validation = samples("training"), samples("validation")

        assert (len(training), len(validation)) == (7, 3)
        assert sorted(training + validation) == list(range(NUM_SAMPLES))
        assert (training, validation) == (samples("training"), samples("validation"))
        assert len({tuple(samples("validation", seed)) for seed in range(5)}) > 1

    def test_split_returns_training_and_validation_in_order(self, make):
        whole = make(class_weight="balanced", transform=lambda x, y, rng: (x + 0, y))
        training, validation = whole.split(validation_split=0.3, seed=1)
        served = []
        for part in whole.split(validation_split=0.3, seed=1):
            served.append([number for batch in part for number in self.numbers(batch[0])])

        assert [type(part) for part in (training, validation)] == [type(whole)] * 2
        assert (len(served[0]), len(served[1])) == (7, 3)
        assert sorted(served[0] + served[1]) == list(range(NUM_SAMPLES))
        assert served[1] == sorted(served[1])
        assert {len(batch) for batch in training} == {3}  # with the weights of its own classes
        assert {len(batch) for batch in validation} == {2}
        for part in (training, validation):
            for batch in part:
                assert [LABELS[number] for number in self.numbers(batch[0])] == batch[1].tolist()
        counts = np.bincount(training.labels, minlength=3)
        _, y, weight = training[0]
        np.testing.assert_allclose(weight, (7 / (np.count_nonzero(counts) * counts))[y], rtol=1e-6)

    def test_split_keeps_the_number_of_classes(self, make):
        """One-hot rows are as wide in every part, also if a part lacks the last class."""
        for num_validation in (1, 9):
            for part in make(label_mode="categorical").split(validation_split=num_validation, seed=0):
                assert part[0][1].shape[1] == 3

    def test_split_into_three_keeps_proportions_or_groups(self, make):
        parts = make().split(validation_split=0.3, test_split=0.3, stratify=True, seed=0)
        assert [part.num_samples for part in parts] == [4, 3, 3]
        assert all(set(part.labels.tolist()) == {0, 1, 2} for part in parts)
        groups = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        for part in make().split(validation_split=2, test_split=2, groups=groups):
            members = [number for batch in part for number in self.numbers(batch[0])]
            assert sorted(number ^ 1 for number in members) == sorted(members)

    def test_split_carries_sample_weight_and_val_transform(self, make):
        weights = [number / 4 for number in range(10)]
        whole = make(sample_weight=weights, transform=lambda x, y, rng: (x, y + 100), label_mode="raw")
        training, validation = whole.split(0.3, val_transform=lambda x, y, rng: (x, y + 500))
        for part, added in ((training, 100), (validation, 500)):
            for x, y, weight in part:
                assert (weight * 4).tolist() == self.numbers(x)
                assert y.tolist() == [LABELS[number] + added for number in self.numbers(x)]
        with pytest.raises(OptionError, match="Only a whole Sequence can be split"):
            make().partition(2)[0].split(0.3)

    def test_unknown_keyword_names_the_nearest_argument(self, make):
        for keyword, message in (
            ("bach_size", "has no argument `bach_size`. Did you mean 'batch_size'"),
            ("num_workers", "has no argument `num_workers`. Use `workers` instead"),
            ("preprocessing_function", "Use `transform` instead"),
        ):
            with pytest.raises(OptionError, match=message):
                make(**{keyword: 4})

    def test_subsets_do_not_overlap_if_only_one_is_shuffled(self, make):
        training = make(validation_split=0.3, subset="training", shuffle=True)
        validation = make(validation_split=0.3, subset="validation", shuffle=False)

        served = [
            number for sequence in (training, validation) for batch in self.epoch_of(sequence) for number in batch
        ]
        assert sorted(served) == list(range(NUM_SAMPLES))

    def test_weights_follow_their_samples_into_a_subset(self, make):
        weights = [number / 4 for number in range(10)]
        for x, _, weight in make(sample_weight=weights, validation_split=0.5, subset="training"):
            assert (weight * 4).tolist() == self.numbers(x)
        for wrong in (weights[:9], [*weights, 0]):
            with pytest.raises(
                OptionError, match=rf"should have shape \(10,\), one weight per sample. Received: shape \({len(wrong)},"
            ):
                make(sample_weight=wrong, validation_split=0.5, subset="training")

    def test_invalid_splits_are_errors(self, make):
        for options, message in (
            (dict(validation_split=0.3, subset="training", seed=None), "`validation_split` requires `seed`"),
            (
                dict(validation_split=0.3, subset="training", seed=None, shuffle=False),
                "requires `seed`, or the subsets",
            ),
            (dict(validation_split=0.3, subset="both"), r"returns two Sequences. Use train, val = sequence.split"),
            (dict(validation_split=0.3), "`subset` should be one of"),
            (dict(subset="training"), "`validation_split` should be between 0 and 1, with `subset`"),
            (dict(validation_split=0.3, subset="test"), "`subset` should be one of"),
            (dict(validation_split=0.01, subset="training"), "of 10 samples leaves no sample for validation"),
        ):
            with pytest.raises(OptionError, match=message):
                make(**options)
