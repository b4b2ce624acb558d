"""`sequence.folds`: parts that share one source and one cache."""

import itertools
import pickle

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

CLASSES = np.repeat([0, 1], (20, 10))


def make(**options):
    return ko.ArraySequence(np.arange(30), **{"labels": CLASSES, "batch_size": 4, "seed": 0, **options})


def samples_of(sequence):
    return [*itertools.chain(*(x.tolist() for x, *_ in sequence))]


def test_parts_of_a_fold_are_disjoint_and_the_training_part_is_shuffled():
    whole = make()
    folds = whole.folds(5, stratify=True, seed=1)

    assert sorted(itertools.chain(*(samples_of(val) for _, val in folds))) == [*range(30)]
    for train, val in folds:
        first, second = samples_of(train), samples_of(train)
        assert first != second
        assert sorted(first) == sorted(second) == sorted({*range(30)} - {*samples_of(val)})
        assert samples_of(val) == sorted(samples_of(val))
        assert np.bincount(val.labels).tolist() == [4, 2]
        assert (len(train), train.num_samples, len(val)) == (6, 24, 2)
    assert "24 samples, training part of fold 0 of 5" in repr(folds[0][0])
    assert sorted(samples_of(whole)) == [*range(30)]


def test_a_state_of_a_fold_continues_and_belongs_to_it():
    (train, _), (other, _) = make().folds(2)
    expected = samples_of(make().folds(2)[0][0])
    loop = iter(train)
    served = next(loop)[0].tolist()
    state = train.state_dict()
    loop.close()
    later = pickle.loads(pickle.dumps(make().folds(2)[0][0]))
    later.load_state_dict(state)

    assert served + samples_of(later) == expected
    with pytest.raises(ko.DataError, match="samples of the fold"):
        other.load_state_dict(state)


def test_class_weights_are_those_of_the_training_part_and_validation_has_none():
    (train, val), *_ = make(class_weight="balanced", label_mode="int").folds(3)
    weights = {int(label): float(weight) for _, y, weights in train for label, weight in zip(y, weights)}
    counts = np.bincount(train.labels)

    assert weights == pytest.approx({label: 20 / (2 * counts[label]) for label in (0, 1)})
    assert all(len(batch) == 2 for batch in val)


def test_sampling_is_for_training_alone():
    train, val = make(sampling="balanced", samples_per_epoch=40).folds(3, stratify=True)[0]

    assert np.bincount(np.concatenate([y for _, y in train])).tolist() == [20, 20]
    assert not {*samples_of(train)} & {*samples_of(val)}
    assert val.num_samples == 10


def test_shards_of_a_fold_are_the_fold():
    train, _ = make().folds(3)[1]
    shards = [train.shard(index, 2) for index in range(2)]
    joined = [[*itertools.chain(*(x.tolist() for x, _ in parts))] for parts in zip(*shards)]

    assert joined == [x.tolist() for x, _ in train]


def test_all_folds_share_one_cache(tmp_path):
    read = []

    def reader(path):
        read.append(path)
        return np.load(path)

    for number in range(12):
        np.save(tmp_path / f"{number:02}.npy", np.array([number]))
    options = dict(reader=reader, seed=0, cache=tmp_path / "cache", batch_size=4)
    files = [tmp_path / f"{number:02}.npy" for number in range(12)]
    whole = ko.NpyManifestSequence(files, np.arange(12), **options)
    whole.pack(tmp_path / "cache")
    read.clear()
    for train, val in whole.folds(3):
        numbers = [*itertools.chain(*(x[:, 0].tolist() for part in (train, val) for x, _ in part))]
        assert sorted(numbers) == [*range(12)]
        assert [x[:, 0].tolist() for x, _ in val] == [y.tolist() for _, y in val]
    assert not read


def test_parts_are_not_divided_again():
    train, _ = make().folds(3)[0]
    for divide in (lambda: train.folds(2), lambda: train.split(0.5), lambda: train.partition(2)):
        with pytest.raises(OptionError, match="Received: a result of `folds`"):
            divide()
    assert len(ko.predict(lambda_model(), train)["row"]) == 20


def lambda_model():
    class Model:
        def predict_on_batch(self, x):
            return x.reshape(-1, 1).astype("float32")

    return Model()
