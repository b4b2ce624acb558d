"""CSVChunkSequence: the classes of a target, their weights, and the form of y."""

import re
import warnings

import keras
import numpy as np
import pytest
from csv_numbers import cached
from recording import idle_recorder

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv import table as csv_table

GENRES = ["drama", "action|drama", "", "comedy", "action", " drama |comedy|drama", '""', "drama"]


@pytest.fixture
def open_films(tmp_path, monkeypatch):
    """A function that opens 40 films. Film i has the length i, one of `kinds`, and genres. A chunk has about five."""

    def open_films(kinds=("long", "short", "long", "long"), cached=False, **options):
        path = tmp_path / f"{'-'.join(kinds)}.csv"
        lines = [f"{i},{kinds[i % len(kinds)]},{int(i % 4 == 1)},{GENRES[i % len(GENRES)]}\n" for i in range(40)]
        if not path.exists():
            path.write_text("length,kind,seen,genres\n" + "".join(lines))
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 100)
        if cached:
            options["cache"] = tmp_path / "cache"
        options = {"target": "kind", "features": ["length"], "batch_size": 8, "shuffle": False, "seed": 0, **options}
        return ko.CSVChunkSequence(path, **options)

    return open_films


def outputs(sequence):
    """All `y`, and all weights."""
    batches = list(sequence)
    return [np.concatenate(part) for part in list(zip(*batches))[1:]]


# Classes


@pytest.mark.one_backend
def test_rare_class_without_training_rows_does_not_stop_fit(write):
    write("x,y\n" + "".join(f"{i},{'rare' if i == 7 else 'ok' if i % 2 else 'ko'}\n" for i in range(50)))
    train, val = ko.CSVChunkSequence("houses.csv", target="y", batch_size=10).split(0.5, seed=0)
    assert 7 in val.row_numbers
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    message = (
        "The training part has no rows of class 'rare' of target 'y': a model cannot learn it. The model still needs 3 "
        "outputs. Fix: split with another seed, or with stratify='y'."
    )
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        model.fit(train, validation_data=val, epochs=2, verbose=0)
    assert [str(warning.message) for warning in caught].count(message) == 1
    assert train.class_names == val.class_names == ["ko", "ok", "rare"]


@pytest.mark.filterwarnings("ignore:The training part has no rows of class 'rare'")
def test_classes_do_not_depend_on_the_seed_and_codes_do(write, tmp_path):
    write("x,y,z\n" + "".join(f"{i},{'rare' if i == 7 else 'often'},z{i % 25}\n" for i in range(50)))
    found = set()
    for seed, cache in ((0, None), (1, None), (1, tmp_path / "cache"), (1, tmp_path / "cache")):
        rows = ko.CSVChunkSequence("houses.csv", "y", features=["z"], cache=cache)
        train, val = rows.split(0.5, seed=seed)
        assert train.class_names == val.class_names == ["often", "rare"]  # stored with the statistics, the second time
        assert [train.class_names[y] for part in (train, val) for _, ys in part for y in ys].count("rare") == 1
        assert set(train.vocabulary("z")) == {f"z{row % 25}" for row in train.row_numbers}
        found.add(tuple(train.vocabulary("z")))
    assert len(found) == 2


def test_several_targets_have_the_classes_of_all_rows(write):
    write("x,a,b\n" + "".join(f"{i},a{i},b{i % 2}\n" for i in range(20)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, val = ko.CSVChunkSequence("houses.csv", target=["a", "b"], features=["x"]).split()
        ys = [y for part in (train, val) for _, y in part]
    assert sorted(np.concatenate(ys)[:, 0].tolist()) == list(range(20))


# Weights


@pytest.mark.one_backend
@pytest.mark.parametrize("cached", [False, True])
def test_fit_weighs_the_training_rows_alone(open_films, cached):
    train, val = open_films(class_weight="balanced", cached=cached).split(0.2, 0.2, stratify=True)[:2]
    model = idle_recorder()
    model.fit(train, validation_data=val, verbose=0)
    kinds = ["short" if number % 4 == 1 else "long" for number in model.given]
    weights = {name: len(kinds) / 2 / kinds.count(name) for name in ("long", "short")}
    assert model.weights_given == pytest.approx([weights[kind] for kind in kinds])
    assert train.class_weight == pytest.approx(weights)
    assert np.mean(model.weights_given) == pytest.approx(1)
    assert val.class_weight is None
    assert [len(batch) for batch in (train[0], val[0])] == [3, 2]
    assert "weights from class_weight float32 (8,)" in repr(train)
    assert "weight" not in repr(val)


def test_weights_by_name_or_index(open_films):
    for weights in ({"short": 5}, {1: 5.0}, {np.int64(1): np.float32(5)}):
        rows = open_films(class_weight=weights)
        assert rows.class_weight == {"long": 1, "short": 5}
        y, sample_weight = outputs(rows)
        assert sample_weight.dtype == np.float32
        assert sample_weight.tolist() == np.where(y == 1, 5.0, 1.0).tolist()
    numbers = open_films(target="seen", categorical=["seen"], class_weight={0: 0.5, "1": 3})
    assert numbers.class_weight == {"0": 0.5, "1": 3}
    assert open_films().class_weight is None
    assert [len(part[0]) for part in open_films(class_weight={0: 2}).partition(2)] == [3, 3]


def test_balanced_weights_of_a_class_without_training_rows(write):
    write("x,y\n" + "".join(f"{i},{'rare' if i == 7 else 'often'}\n" for i in range(50)))
    train, val = ko.CSVChunkSequence("houses.csv", "y", class_weight="balanced").split(0.5, seed=0)
    with pytest.warns(UserWarning, match="has no rows of class 'rare'"):
        assert train.class_weight["often"] == 1
    assert outputs(train)[1].tolist() == [1] * 25
    assert len(val[0]) == 2


# The form of y


@cached
@pytest.mark.parametrize(
    ("label_mode", "dtype", "shape", "expected"),
    [
        (None, "int32", (8,), [0, 1]),
        ("int", "int32", (8,), [0, 1]),
        ("binary", "float32", (8, 1), [[0], [1]]),
        ("categorical", "float32", (8, 2), [[1, 0], [0, 1]]),
    ],
)
def test_label_mode(open_films, cached, label_mode, dtype, shape, expected):
    rows = open_films(label_mode=label_mode, cached=cached)
    _, y = rows[0]
    assert (y.dtype, y.shape, y[:2].tolist()) == (dtype, shape, expected)
    described = re.search(r"target 'kind' (.*)", repr(rows))[1]
    assert described == f"{dtype} {shape}"
    assert rows.class_names == ["long", "short"]
    assert open_films(label_mode=label_mode, target=["kind"])[0][1].shape == (shape if "float" in dtype else (8, 1))


@pytest.mark.backend
@pytest.mark.parametrize(
    ("options", "loss", "units"),
    [
        pytest.param(
            *(dict(label_mode="categorical", class_weight="balanced"), "categorical_crossentropy", 2),
            marks=pytest.mark.one_backend,
        ),
        pytest.param(dict(label_mode="binary"), "binary_crossentropy", 1, marks=pytest.mark.one_backend),
        (dict(target="genres", label_separator="|"), "binary_crossentropy", 3),
    ],
)
@pytest.mark.filterwarnings("ignore:10 rows have no label", "ignore:.* rows? ha.* no label")
def test_fit_evaluate_and_predict_with_each_form_of_y(open_films, options, loss, units):
    train, val = open_films(**options).split(0.2, seed=0)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(units, "sigmoid" if "b" in loss[:1] else "softmax")]
    )
    model.compile("sgd", loss)
    history = model.fit(train, validation_data=val, verbose=0).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()
    predicted = model.predict(val, verbose=0)
    (y,) = outputs(val)
    assert predicted.shape == y.shape == (8, units)


@cached
def test_several_labels_in_a_cell(open_films, cached):
    rows = open_films(target="genres", label_separator="|", cached=cached)
    with pytest.warns(UserWarning, match="5 rows have no label in 'genres': y is 0 for every class. missing='drop'"):
        assert rows.class_names == ["action", "comedy", "drama"]
    assert rows.vocabulary("genres") == rows.class_names
    (y,) = outputs(rows)
    assert y.dtype == np.float32
    assert y[:8].tolist() == [
        [0, 0, 1],
        [1, 0, 1],
        [0, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
        [0, 1, 1],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert "target 'genres' float32 (8, 3)" in repr(rows)
    assert "(8, number of classes)" in repr(open_films(target="genres", label_separator="|"))
    assert rows.max_queue_size == 10  # y may be wide


def test_several_labels_without_rows_that_have_none(open_films):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (y,) = outputs(open_films(target="genres", label_separator="|", missing="drop"))
    assert len(y) == 35


def test_labels_that_are_numbers_are_sorted_by_value(write):
    write("x,tags\n1,10;9\n2,9\n3,2\n")
    rows = ko.CSVChunkSequence("houses.csv", "tags", label_separator=";", shuffle=False)
    assert rows.class_names == ["2", "9", "10"]
    assert rows[0][1].tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    write("x,tags\n1,10\n2,9\n", "numbers.csv")
    assert ko.CSVChunkSequence("numbers.csv", "tags", label_separator=";").class_names == ["9", "10"]


def test_label_without_training_rows(write):
    write("x,tags\n" + "".join(f"{i},{'a|rare' if i == 7 else 'a|b'}\n" for i in range(50)))
    train, val = ko.CSVChunkSequence("houses.csv", "tags", label_separator="|").split(0.5, seed=0)
    with pytest.warns(UserWarning, match="has no rows of class 'rare' of target 'tags'"):
        train[0]
    assert outputs(val)[0].sum(axis=0).tolist() == [25, 24, 1]


@cached
def test_other_rows_may_join_the_same_labels_in_other_ways(tmp_path, cached):
    cells = ["a|b", "b", "a", "c", "a|c", None]
    others = ["c|b", None, "b", "a|b|c", "b |c", "a|b"]
    y = [[0, 1, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 1, 1], [1, 1, 0]]
    train = ko.TableSequence({"x": range(6), "tags": cells}, "tags", label_separator="|", shuffle=False)
    train.save_features(tmp_path / "features.json")
    for _ in range(2):  # the second pass opens the caches of the first
        for learned in (train, ko.load_features(tmp_path / "features.json")):
            options = {"cache": tmp_path / "cache"} if cached else {}
            test = learned.like({"x": range(6), "tags": others}, **options)
            parts = test.split(validation_split=0.5, seed=0)
            assert [row for part in parts for row in outputs(part)[0].tolist()] == [
                y[row] for part in parts for row in part.row_numbers
            ]
            assert outputs(test)[0].tolist() == y
            assert test.class_counts == {"a": 2, "b": 5, "c": 3}
            options = {"cache": tmp_path / "fewer"} if cached else {}
            fewer = learned.like({"x": range(6), "tags": others}, **options).without([0, 3])
            assert outputs(fewer)[0].tolist() == [y[row] for row in (1, 2, 4, 5)]
    for label, message in (("x", "'x' is not one of the 3 classes"), ("B", "'B' is not .*, though 'b' is")):
        with pytest.raises(ko.DataError, match=rf"row 1 of the dictionary, column 'tags' \(#1\): {message}"):
            train.like({"x": range(2), "tags": ["a", f"a|{label}"]})[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(label_mode="one-hot"), "`label_mode` should be one of ('int', 'categorical', 'binary', None)"),
        (dict(label_separator=""), "`label_separator` should be a string such as '|'"),
        (dict(class_weight="equal"), '`class_weight` should be a dictionary from class to weight, or "balanced"'),
        (dict(class_weight={"long": -1}), "`class_weight` should be a dictionary from class to weight"),
        (dict(class_weight=[1, 2]), "`class_weight` should be a dictionary from class to weight"),
        (dict(target=None, class_weight="balanced"), "`class_weight` requires one `target`. Received: target=None"),
        (
            dict(target=["kind", "genres"], label_mode="int"),
            "`label_mode` requires one `target`. Received: target=['kind",
        ),
        (
            dict(target="seen", label_mode="categorical"),
            "`label_mode` requires classes, and target 'seen' is read as numbers. If its values are classes: "
            "categorical=['seen']. Received: label_mode='categorical'",
        ),
        (dict(target="seen", class_weight="balanced"), "`class_weight` requires classes, and target 'seen'"),
        (
            dict(class_weight={0: 1}, sample_weight="seen"),
            "`sample_weight` and `class_weight` cannot both be given. Multiply them into the column of",
        ),
        (dict(label_separator="|", label_mode="categorical"), "Leave out `label_mode`. Received: label_mode='categori"),
        (dict(label_separator="|", class_weight="balanced"), "`class_weight` requires one class per row."),
    ],
)
def test_options_that_do_not_fit_each_other(open_films, options, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        open_films(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            dict(class_weight={"shrt": 2}),
            "`class_weight` should map classes to weights: names, or indices from 0 to 1. Received: class 'shrt'. Did "
            "you mean 'short'? Classes: 'long', 'short'",
        ),
        (dict(class_weight={2: 2}), "Received: class 2."),
        (dict(class_weight={0: 1, "long": 2}), "`class_weight` should give each class once. Received: 'long' twice"),
        (
            dict(label_mode="binary", kinds=("a", "b", "c")),
            "`label_mode=\"binary\"` requires exactly 2 classes. Received: 3 classes in column 'kind': 'a', 'b', 'c'",
        ),
    ],
)
def test_options_that_do_not_fit_the_classes(open_films, options, message):
    rows = open_films(**options)
    for _ in range(2):
        with pytest.raises(OptionError, match=re.escape(message)):
            rows[0]


def test_missing_class_is_an_error(open_films):
    with pytest.raises(DataError, match=r"-a.csv: row 0 \(line 2\), column 'kind' \(#1\): the cell is missing"):
        open_films(kinds=("", "a"))[0]
