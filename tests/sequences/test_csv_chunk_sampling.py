"""`sampling` of the rows of CSV files: balanced classes and weights, exact, resumable and sharded, through a cache."""

import itertools
import pickle

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

FRAUD, FAIR, ODD = 5, 80, 3  # rows per class
CLASSES = ["fair"] * FAIR + ["fraud"] * FRAUD + ["odd"] * ODD
NUM_ROWS = len(CLASSES)


@pytest.fixture
def make(write):
    """A function that opens 88 payments of three classes. Row i has the amount i."""
    rows = [f"{i},{i % 7},{name}" for i, name in enumerate(np.random.default_rng(3).permutation(CLASSES))]
    write("\n".join(["amount,day,kind", *rows]) + "\n", "payments.csv")

    def make(**options):
        defaults = dict(target="kind", features=["amount"], cache="cache", batch_size=10, seed=4, sampling="balanced")
        return ko.CSVChunkSequence("payments.csv", **{**defaults, **options})

    return make


def epoch_of(sequence):
    """The rows and the classes of an epoch, by batch."""
    return [(batch[0][:, 0].astype(int).tolist(), batch[1].tolist()) for batch in sequence]


def joined(epoch):
    """The rows and the classes of an epoch."""
    return [np.array([*itertools.chain(*part)]) for part in zip(*epoch)]


@pytest.mark.parametrize("samples_per_epoch", [None, 1, 7, 300])
def test_draws_of_an_epoch_are_exact(make, samples_per_epoch):
    sequence = make(samples_per_epoch=samples_per_epoch)
    size = samples_per_epoch or NUM_ROWS
    epochs = [joined(epoch_of(sequence)) for _ in range(3)]

    assert (sequence.num_samples, sequence.num_rows) == (size, NUM_ROWS)
    assert sequence.class_names == ["fair", "fraud", "odd"]
    for rows, classes in epochs:
        assert len(rows) == size
        per_class = np.bincount(classes, minlength=3)
        assert per_class.max() - per_class.min() <= 1
        for number, num_rows in enumerate((FAIR, FRAUD, ODD)):
            drawn = np.unique(rows[classes == number], return_counts=True)[1]
            least = per_class[number] // num_rows
            assert {*drawn.tolist()} <= {least, least + 1}
            assert len(drawn) == num_rows or not least
    assert size == 1 or epochs[0][0].tolist() != epochs[1][0].tolist()


def test_each_row_has_its_own_class(make):
    everything = {row: kind for rows, classes in epoch_of(make(sampling=None)) for row, kind in zip(rows, classes)}
    rows, classes = joined(epoch_of(make()))

    assert [everything[row] for row in rows.tolist()] == classes.tolist()


def test_an_epoch_depends_on_seed_and_number_alone(make):
    first = make(workers=0)
    epochs = [epoch_of(first) for _ in range(2)]

    again = make(workers=3)
    assert [epoch_of(again) for _ in range(2)] == epochs
    other = joined(epoch_of(make(batch_size=7)))
    assert other[0].tolist() == joined(epochs[0])[0].tolist()
    assert epoch_of(make(seed=5)) != epochs[0]


def test_a_state_continues_in_the_middle_of_an_epoch(make):
    whole = make()
    epochs = [epoch_of(whole) for _ in range(2)]
    begun = make()
    loop = iter(begun)
    next(loop)
    next(loop)
    state = begun.state_dict()
    loop.close()

    later = pickle.loads(pickle.dumps(make(seed=None)))
    later.load_state_dict(state)
    assert [epoch_of(later), epoch_of(later)] == [epochs[0][2:], epochs[1]]


@pytest.mark.parametrize("num_shards", [2, 5])
def test_joined_shards_have_the_draws_of_one_process(make, num_shards):
    options = dict(samples_per_epoch=40)
    whole = epoch_of(make(**options))
    shards = [epoch_of(make(**options).shard(index, num_shards)) for index in range(num_shards)]

    for (rows, _), parts in zip(whole, zip(*shards), strict=True):
        assert [row for part, _ in parts for row in part] == rows


def test_draws_of_one_row_are_transformed_differently(make):
    @ko.per_sample
    def draw(x, y, rng):
        return np.float64(rng.random()), y

    values = [
        np.concatenate([x for x, _ in make(batch_size=size, samples_per_epoch=60, transform=draw)]) for size in (4, 9)
    ]
    assert len(np.unique(values[0])) == 60
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("how", [dict(stratify=True), dict(by="day", at=5), {}])
def test_split_samples_the_training_part_alone(make, how):
    how = how if "by" in how else dict(validation_split=0.25, **how)
    train, val = make(samples_per_epoch=60).split(**how)

    (drawn, classes), (kept, _) = joined(epoch_of(train)), joined(epoch_of(val))
    per_class = np.bincount(classes)
    per_class = per_class[per_class > 0]  # a class may be in the other part
    assert len(drawn) == 60
    assert per_class.max() - per_class.min() <= 1
    assert sorted({*drawn.tolist()} | {*kept.tolist()}) != sorted(kept.tolist())
    assert not {*drawn.tolist()} & {*kept.tolist()}
    assert kept.tolist() == sorted(kept.tolist())
    assert len(kept) == val.num_samples == val.num_rows == NUM_ROWS - train.num_rows


def test_weights_of_rows_stay_with_them_in_a_split(make):
    weights = np.zeros(NUM_ROWS)
    weights[[3, 40, 41, 80]] = 1, 1, 1, 5
    rows, _ = joined(epoch_of(make(sampling=weights, samples_per_epoch=16)))
    assert np.bincount(rows)[[3, 40, 41, 80]].tolist() == [2, 2, 2, 10]

    train, val = make(sampling=weights).split(validation_split=0.5, seed=2)
    members = {*train.row_numbers.tolist()}
    assert {*joined(epoch_of(train))[0].tolist()} == {3, 40, 41, 80} & members
    assert len(joined(epoch_of(val))[0]) == NUM_ROWS // 2


def test_numbers_of_categorical_are_classes(write):
    write("x,y\n" + "".join(f"{i},{int(i % 10 == 0)}\n" for i in range(50)))
    rows = ko.CSVChunkSequence(
        "houses.csv", "y", categorical=["y"], cache="cache", sampling="balanced", label_mode="binary", batch_size=50
    )
    _, y = rows[0]
    assert y.shape == (50, 1)
    assert y.sum() == 25


def test_every_row_is_predicted_once(make):
    class Model:
        def predict_on_batch(self, x):
            return x.reshape(-1, 1)

    table = ko.predict(Model(), make(samples_per_epoch=5))
    assert table["row"].tolist() == list(range(NUM_ROWS))


def test_repr_and_summary_describe_rows_and_draws(make):
    sequence = make(samples_per_epoch=60)

    assert "88 rows" in repr(sequence)
    assert "6 batches of 10" in repr(sequence)
    assert "60 per epoch, balanced classes" in repr(sequence)
    assert str(sequence.summary()).startswith("88 rows")
    assert sequence.row_numbers.tolist() == list(range(NUM_ROWS))


def test_two_sequences_and_a_second_run_share_the_cache(make):
    expected = epoch_of(make())
    first, second = make(), make()
    assert epoch_of(first) == epoch_of(second) == expected


@pytest.mark.one_backend
def test_a_model_trains_on_balanced_rows(make):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    train, val = make(samples_per_epoch=30).split(validation_split=0.25, stratify=True)

    history = model.fit(train, validation_data=val, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert len(train) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            dict(cache=None),
            r"without a cache they are parsed in blocks. Pass cache=DIR.*'balanced', cache=None",
        ),
        (dict(sampling=None, samples_per_epoch=3), "`samples_per_epoch` requires `sampling`"),
        (dict(samples_per_epoch=0), "`samples_per_epoch` should be"),
        (dict(shuffle=False), "`sampling` draws in a random order: use shuffle=True"),
        (dict(sampling="kind"), r'should be "balanced" or one weight per row'),
        (dict(sampling=[1, 2]), "88 weights, one per row. Received"),
        (dict(target="amount", features=["day"]), r"target 'amount' is read as numbers.*categorical=\['amount'\]"),
        (dict(target=None), "one class per row. Received: target=None"),
        (dict(class_weight="balanced"), "`class_weight` and `sampling` would both correct the classes"),
        (dict(label_separator="|"), r"one class per row. Received: label_separator='\|'"),
    ],
)
def test_what_cannot_be_balanced_is_an_error(make, options, words):
    with pytest.raises(OptionError, match=words):
        make(**options)


def test_partitions_of_drawn_rows_are_an_error(make):
    with pytest.raises(OptionError, match="`sampling` has no partitions"):
        make().partition(2)
