"""`ko.predict` in memory: which rows and columns the table has."""

import pickle

import numpy as np
import pytest
from contracts.numbered import CLASS_NAMES, LABELS
from stub_models import Returns, StubModel

import keras_oocore as ko


def means():
    """A model that returns the mean of each sample."""
    return Returns(lambda means: means[:, np.newaxis])


def opened(photos, **options):
    return ko.ImageFolderSequence(photos, **{"image_size": (8, 8), "batch_size": 4, "seed": 7, **options})


@pytest.fixture
def npy_files(tmp_path):
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", np.full((2, 2), number, "float32"))
    return [f"{number}.npy" for number in range(10)]


@pytest.fixture
def csv_path(tmp_path):
    rows = [f"{i},{'ü' * i}x,{CLASS_NAMES[label]},{label}" for i, label in enumerate(LABELS)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["number,code,kind,level", *rows]) + "\n")
    return path


# Rows


@pytest.mark.parametrize("shuffle", [True, False, "block"])
@pytest.mark.parametrize("last_batch", ["keep", "drop"])
@pytest.mark.parametrize("on_error", ["raise", "skip", "replace"])
def test_rows_are_in_the_order_of_the_files_whatever_the_options(photos, shuffle, last_batch, on_error):
    sequence = opened(photos, shuffle=shuffle, last_batch=last_batch, on_error=on_error)

    table = ko.predict(means(), sequence)

    assert table["file"].tolist() == [f"{CLASS_NAMES[label]}/{number}.png" for number, label in enumerate(LABELS)]
    assert table["prediction"].tolist() == [10.0 * number for number in range(10)]
    assert table["label"].tolist() == [CLASS_NAMES[label] for label in LABELS]
    assert not any(table["error"])


def test_the_position_of_the_sequence_does_not_change(photos):
    sequence, other = opened(photos), opened(photos)
    next(iter(sequence)), next(iter(other))

    ko.predict(StubModel(), sequence)

    assert sequence.state_dict() == other.state_dict()
    assert all((x == also).all() for (x, _), (also, _) in zip(sequence, other))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("bad", [[0], [3, 4], [0, 1, 2, 3], [4, 5, 6, 7, 8, 9]], ids=str)
def test_an_unreadable_file_has_a_row_that_says_so(photos, workers, bad):
    for number in bad:
        (photos / CLASS_NAMES[LABELS[number]] / f"{number}.png").write_bytes(b"none")
    with pytest.warns(UserWarning, match=f"{len(bad)} files? cannot be read|1 file cannot be read"):
        table = ko.predict(StubModel(), opened(photos, workers=workers))

    is_bad = np.isin(np.arange(10), bad)
    assert (table.readable == ~is_bad).all()
    assert all("not an image" in error for error in table["error"][is_bad])
    assert not any(table["error"][~is_bad])
    assert np.isnan(table["ant"][is_bad]).all()
    assert np.isnan(table["probability"][is_bad]).all()
    assert table["class"][is_bad].tolist() == [None] * len(bad)
    assert table["label"].tolist() == [CLASS_NAMES[label] for label in LABELS]
    assert not np.isnan(table["ant"][~is_bad]).any()


def test_a_missing_file_has_a_row_that_says_so(photos):
    sequence = opened(photos)
    (photos / "bee" / "5.png").unlink()

    with pytest.warns(UserWarning, match="1 file cannot be read.*file not found"):
        table = ko.predict(StubModel(), sequence)

    assert "file not found" in table["error"][5]


def test_if_no_file_can_be_read_the_first_one_is_named(photos):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"none")

    with pytest.raises(ko.SampleError, match=r"No sample can be read.*0\.png"):
        ko.predict(StubModel(), opened(photos))


@pytest.mark.parametrize("shuffle", [True, False])
def test_partitions_and_parts_of_a_split_have_their_own_rows(photos, shuffle):
    sequence, model = opened(photos, shuffle=shuffle), means()

    for parts in (sequence.partition(2), sequence.split(validation_split=0.3)):
        found = [ko.predict(model, part)["prediction"].tolist() for part in parts]
        assert all(numbers == sorted(numbers) for numbers in found)
        assert sorted(number for numbers in found for number in numbers) == [10.0 * number for number in range(10)]


def test_rows_of_an_array_have_their_numbers(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(20, dtype="float32").reshape(10, 2))
    for data in (np.load(tmp_path / "rows.npy"), tmp_path / "rows.npy"):
        sequence = ko.ArraySequence(data, labels=None, batch_size=3, seed=1)
        _, val = sequence.split(validation_split=0.4)

        table = ko.predict(means(), val)

        assert list(table) == ["row", "prediction"]
        assert table["prediction"].tolist() == [2 * row + 0.5 for row in table["row"]]
        assert table.num_rows == 4


def test_arrays_in_files_and_packed_rows_have_their_file_names(npy_files, tmp_path):
    files = ko.NpyManifestSequence(npy_files, LABELS, directory=tmp_path, batch_size=3, class_names=CLASS_NAMES)
    packed = ko.open_packed(files.pack(tmp_path / "packed"), batch_size=4)
    model = means()

    for sequence in (files, packed):
        table = ko.predict(model, sequence)
        assert table["file"].tolist() == npy_files
        assert table["prediction"].tolist() == [*range(10)]
        assert table["label"].tolist() == [CLASS_NAMES[label] for label in LABELS]


def test_predictions_through_a_cache_are_those_of_the_files(photos, tmp_path):
    cached = opened(photos, cache=tmp_path / "cache")
    expected = ko.predict(StubModel(), opened(photos))

    for _ in range(2):
        table = ko.predict(StubModel(), cached)
        assert all((table[name] == expected[name]).all() for name in expected)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("cache", [False, True])
def test_rows_of_csv_files_have_row_numbers_or_ids(csv_path, tmp_path, shuffle, cache):
    cache = {"cache": tmp_path / "cache"} if cache else {}
    options = dict(target="kind", features=["number"], batch_size=3, shuffle=shuffle, seed=1, **cache)
    model = means()
    rows = ko.CSVChunkSequence(csv_path, **options)
    _, val = rows.split(validation_split=0.4)

    for sequence in (rows, val, *rows.partition(2)):
        table = ko.predict(model, sequence)
        assert list(table) == ["row", "label", "prediction"]
        assert table["row"].tolist() == table["prediction"].tolist() == sorted(sequence.row_numbers.tolist())
        assert table["label"].tolist() == [CLASS_NAMES[LABELS[row]] for row in table["row"]]

    sequence = ko.CSVChunkSequence(csv_path, **{**options, "cache": None}, ids=["code"])
    table = ko.predict(model, sequence, columns=["code", "row", "prediction"])
    assert table["code"].tolist() == [f"{'ü' * i}x" for i in range(10)]
    assert table["row"].tolist() == table["prediction"].tolist() == [*range(10)]


@pytest.mark.parametrize("name", ["label", "error", "row", "class", "probability", "a", "code"])
def test_ids_with_the_names_of_other_columns_are_not_lost(tmp_path, name):
    table = {name: ["x", "y", "z"], "number": [0.0, None, 2.0], "kind": ["a", "b", "a"]}
    rows = ko.TableSequence(table, "kind", ["number"], ids=name, missing="drop")
    model = Returns(lambda means: np.stack([means + 1, means * 0, means * 0 + 5], axis=1) / 10)
    with pytest.warns(UserWarning, match="1 row is left out"):
        found = ko.predict(model, rows, class_names=["a", "b", "c"])
    with pytest.warns(UserWarning, match="1 row is left out"):
        path = ko.predict(model, rows, tmp_path / "rows.csv", class_names=["a", "b", "c"])

    own = f"ids/{name}" if name in ("label", "error", "class", "probability") else name
    assert found[own].tolist() == ["x", "y", "z"]
    assert found["label"].tolist() == ["a", None, "a"]
    assert found["class"].tolist() == ["c", None, "c"]
    assert "missing='drop'" in found["error"][1]
    assert found["probability/a" if name == "a" else "a"][[0, 2]] == pytest.approx([0.1, 0.3])
    lines = path.read_text().splitlines()
    assert lines[0].split(",")[0] == own
    assert [line.split(",")[0] for line in lines[1:]] == ["x", "y", "z"]
    with pytest.warns(UserWarning, match="1 row is left out"):
        assert list(ko.predict(model, rows, columns=[own, "b"], class_names=["a", "b", "c"])) == [own, "b"]


def test_skipped_rows_of_csv_files_keep_the_numbers_of_the_others(tmp_path):
    (tmp_path / "rows.csv").write_text("number,kind\n0,a\none,a\n2,b\n,b\n4,c\n")
    with pytest.warns(UserWarning, match="2 rows are left out"):
        rows = ko.CSVChunkSequence(
            tmp_path / "rows.csv", "kind", missing="drop", on_bad_row="skip", batch_size=2, dtypes={"number": "float32"}
        )

    with pytest.warns(UserWarning, match="2 rows are left out, and have no prediction"):
        table = ko.predict(means(), rows)

    assert table["row"].tolist() == [0, 1, 2, 3, 4]
    assert table["row"][table.readable].tolist() == table["prediction"][table.readable].tolist() == [0, 2, 4]
    assert table["label"].tolist() == ["a", None, "b", None, "c"]


def test_rows_without_a_target_know_the_classes_of_the_training(csv_path, tmp_path):
    train = ko.CSVChunkSequence(csv_path, "kind", features=["number"])
    (tmp_path / "test.csv").write_text("number\n3\n4\n")

    table = ko.predict(StubModel(), train.like(tmp_path / "test.csv", target=None))

    assert list(table) == ["row", "class", "probability", *CLASS_NAMES]


# Columns


def test_the_columns_of_classes_are_their_probabilities(photos):
    table = ko.predict(StubModel(), opened(photos))

    assert list(table) == ["file", "label", "class", "probability", "error", *CLASS_NAMES]
    shares = np.stack([table[name] for name in CLASS_NAMES], axis=1)
    assert shares.dtype == np.float32
    assert np.allclose(shares.sum(axis=1), 1)
    assert (table["probability"] == shares.max(axis=1)).all()
    assert table["class"].tolist() == [CLASS_NAMES[best] for best in shares.argmax(axis=1)]


def test_classes_without_names_are_numbered_if_they_have_probabilities():
    rows = np.arange(8, dtype="float32").reshape(4, 2)
    table = ko.predict(StubModel(2), ko.ArraySequence(rows, [0, 1, 1, 0]))

    assert list(table) == ["row", "label", "class", "probability", "class 0", "class 1"]
    assert table["label"].tolist() == ["class 0", "class 1", "class 1", "class 0"]
    numbers = ko.predict(Returns(lambda means: np.stack([means, -means], axis=1)), ko.ArraySequence(rows, None))
    assert list(numbers) == ["row", "prediction 0", "prediction 1"]
    digits = ko.predict(StubModel(2), ko.ArraySequence(rows, None), class_names=range(2))
    assert list(digits) == ["row", "class", "probability", "0", "1"]


def test_one_output_and_two_classes_is_the_probability_of_the_second():
    rows = ko.ArraySequence(np.array([[0.25], [0.5], [1.0]], "float32"), [0, 1, 1], class_names=["cat", "dog"])

    table = ko.predict(means(), rows)

    assert table["class"].tolist() == ["cat", "cat", "dog"]
    assert table["probability"].tolist() == [0.75, 0.5, 1.0]
    assert table["cat"].tolist() == [0.75, 0.5, 0.0]
    assert table["dog"].tolist() == [0.25, 0.5, 1.0]


def test_a_regression_has_one_prediction_or_a_column_per_target(csv_path):
    one = ko.CSVChunkSequence(csv_path, "level", features=["number"])
    table = ko.predict(means(), one)
    assert list(table) == ["row", "label", "prediction"]
    assert table["label"].tolist() == LABELS

    two = ko.CSVChunkSequence(csv_path, ["level", "number"], categorical=["kind"], exclude=["code"])
    table = ko.predict(Returns(lambda means: np.stack([means, -means], axis=1)), two)
    assert list(table) == ["row", "label/level", "label/number", "level", "number"]
    assert table["label/number"].tolist() == [*range(10)]


def test_several_labels_per_row_are_joined_and_need_not_sum_to_1(tmp_path, recwarn):
    (tmp_path / "films.csv").write_text("length,genre\n90,drama\n100,action|drama\n80,\n")
    rows = ko.CSVChunkSequence(tmp_path / "films.csv", "genre", label_separator="|", null_values=["-"])
    list(rows)
    recwarn.clear()

    table = ko.predict(Returns(lambda means: np.full((len(means), 2), 0.9, "float32")), rows)

    assert list(table) == ["row", "label", "class", "probability", "action", "drama"]
    assert table["label"].tolist() == ["drama", "action|drama", ""]
    assert not recwarn.list


@pytest.mark.parametrize("names", [["cat", "dog"], None])
def test_several_outputs_have_columns_with_their_names(names):
    rows = ko.ArraySequence(np.array([[0.0], [0.5]], "float32"), labels=None)

    def outputs(means):
        return {"kind": np.stack([1 - means, means], axis=1), "age": means[:, np.newaxis] * 10}

    table = ko.predict(Returns(outputs), rows, class_names=names and {"kind": names})

    first, second = names or ["class 0", "class 1"]
    assert list(table) == [
        *("row", "kind/class", "kind/probability", f"kind/{first}", f"kind/{second}", "age/prediction")
    ]
    assert table["age/prediction"].tolist() == [0.0, 5.0]
    assert table["kind/class"].tolist() == [first, first]
    as_list = ko.predict(Returns(lambda means: list(outputs(means).values())), rows)
    assert list(as_list)[1] == "output 0/class"
    assert list(as_list)[-1] == "output 1/prediction"
    with pytest.raises(ko.OptionError, match="dictionary from output to names"):
        ko.predict(Returns(outputs), rows, class_names=["cat", "dog"])
    with pytest.raises(ko.OptionError, match=r"names of the outputs.*'kind', 'age'.*'kinds'"):
        ko.predict(Returns(outputs), rows, class_names={"kinds": ["cat", "dog"]})


def test_a_class_that_is_called_like_a_column_has_a_longer_name():
    rows = ko.ArraySequence(np.array([[0.0], [0.5]], "float32"), [0, 1], class_names=["row", "class"])

    table = ko.predict(StubModel(2), rows)

    assert list(table) == ["row", "label", "class", "probability", "probability/row", "probability/class"]
    assert table["label"].tolist() == ["row", "class"]


def test_columns_are_chosen_and_renamed(photos):
    table = ko.predict(StubModel(), opened(photos), columns={"cat": "feline", "stem": "id", "ant": "ant"})

    assert list(table) == ["feline", "id", "ant"]
    assert table["id"].tolist() == [str(number) for number in range(10)]
    others = ko.predict(StubModel(), opened(photos), columns=["path", "name", "error"])
    assert others["path"][4] == f"{photos}/bee/4.png"
    assert others["name"][4] == "4.png"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["file", "klass"], "Received: 'klass'. Did you mean 'class'"),
        ("file", "should be a list of columns, or a dictionary"),
        ([], "should be a list of columns"),
        (["file", 3], "should be a list of columns"),
        (["file", "file"], "'file' twice"),
        ({"file": "id", "class": "id"}, "'id' twice"),
    ],
)
def test_wrong_columns_are_named(photos, columns, message):
    with pytest.raises(ko.OptionError, match=message):
        ko.predict(StubModel(), opened(photos), columns=columns)


# Values


def test_logits_are_taken_as_they_are_with_a_warning():
    rows = ko.ArraySequence(np.array([[0.0], [2.0]], "float32"), [0, 1], class_names=["cat", "dog"])
    model = Returns(lambda means: np.stack([means, -means], axis=1))

    with pytest.warns(UserWarning, match=r'values such as 2.*not probabilities.*activation="softmax"'):
        table = ko.predict(model, rows)
    assert table["dog"].tolist() == [0.0, -2.0]
    applied = ko.predict(model, rows, activation="softmax")
    assert np.allclose(applied["cat"], [0.5, np.exp(2) / (np.exp(2) + np.exp(-2))])
    one = ko.predict(means(), rows, activation="sigmoid")
    assert np.allclose(one["dog"], [0.5, 1 / (1 + np.exp(-2))])
    with pytest.warns(UserWarning, match='activation="sigmoid"'):
        ko.predict(means(), rows)
    with pytest.raises(ko.OptionError, match='pass "sigmoid"'):
        ko.predict(means(), rows, activation="softmax")


def test_rows_that_do_not_sum_to_1_give_one_warning(recwarn):
    rows = ko.ArraySequence(np.zeros((8, 1), "float32"), [0] * 8, class_names=["cat", "dog"], batch_size=2)
    model = Returns(lambda means: np.full((len(means), 2), 0.9, "float32"))

    ko.predict(model, rows)

    assert len(recwarn) == 1
    assert "does not sum to 1" in str(recwarn[0].message)
    recwarn.clear()
    ko.predict(model, rows, activation="none")
    assert not recwarn.list


def test_float64_stays_and_half_precision_becomes_float32():
    rows = ko.ArraySequence(np.zeros((2, 1), "float32"), labels=None)
    for dtype, expected in (("float16", "float32"), ("float64", "float64"), ("int32", "float32")):
        model = Returns(lambda means, dtype=dtype: means[:, np.newaxis].astype(dtype))
        assert ko.predict(model, rows)["prediction"].dtype == expected


def test_a_random_transform_draws_the_same_numbers_in_every_call():
    def noisy(x, y, rng):
        return x + rng.random(x.shape, "float32"), y

    rows = ko.ArraySequence(np.zeros((9, 1), "float32"), [0] * 9, batch_size=4, seed=1, transform=noisy)
    model = means()

    first, second = (ko.predict(model, rows)["prediction"].tolist() for _ in range(2))

    assert first == second
    assert len(set(first)) == 9


# Errors


def test_class_names_that_do_not_fit_the_model_are_named(photos):
    with pytest.raises(ko.OptionError, match=r"4 values per sample, and the data 3 classes: 'ant', 'bee', 'cat'"):
        ko.predict(StubModel(4), opened(photos))
    with pytest.raises(ko.OptionError, match=r"3 values per sample, and `class_names` 2 classes"):
        ko.predict(StubModel(), opened(photos), class_names=["a", "b"])
    with pytest.raises(ko.OptionError, match="'a' twice"):
        ko.predict(StubModel(), opened(photos), class_names=["a", "b", "a"])
    with pytest.raises(ko.OptionError, match="should be a list of names"):
        ko.predict(StubModel(), opened(photos), class_names="abc")


def test_what_is_not_a_model_or_a_sequence_is_refused(photos):
    with pytest.raises(ko.OptionError, match=r"`model` should be a Keras model. Received: 3"):
        ko.predict(3, opened(photos))
    with pytest.raises(ko.OptionError, match=r"`sequence` should be a Sequence.*ndarray of shape \(3, 2\)"):
        ko.predict(StubModel(), np.zeros((3, 2)))
    with pytest.raises(ko.OptionError, match="`activation` should be one of 'softmax'"):
        ko.predict(StubModel(), opened(photos), activation="relu")


def test_outputs_that_are_images_and_models_that_change_the_number_of_rows_are_refused(photos):
    with pytest.raises(ko.OptionError, match=r"shape \(4, 4\) per sample"):
        ko.predict(Returns(lambda means: np.zeros((len(means), 4, 4))), opened(photos))
    with pytest.raises(ko.DataError, match="8 rows for 4 samples"):
        ko.predict(Returns(lambda means: np.zeros((2 * len(means), 3))), opened(photos))


def test_the_first_column_with_several_axes_of_size_1_is_a_row(photos):
    table = ko.predict(Returns(lambda means: means.reshape(-1, 1, 1)), opened(photos))

    assert table["prediction"].tolist() == [10.0 * number for number in range(10)]
    flat = ko.predict(Returns(lambda means: means), opened(photos))
    assert flat["prediction"].tolist() == table["prediction"].tolist()


# The table


def test_the_table_is_shown_as_text_and_html(photos):
    (photos / "ant" / "1.png").write_bytes(b"none")
    with pytest.warns(UserWarning, match="cannot be read"):
        table = ko.predict(StubModel(), opened(photos))

    assert repr(table).startswith("<Predictions: 10 rows, 1 of them cannot be read, 8 columns>\n")
    assert "bee/4.png" in repr(table)
    html = table._repr_html_()
    assert "bee/4.png" in html
    assert "cannot be read" in html
    many = ko.predict(StubModel(100), ko.ArraySequence(np.zeros((30, 1), "float32"), None), class_names=range(100))
    assert "94 more" in repr(many)
    assert "... 20 more rows" in repr(many)
    assert len(max(repr(many).splitlines(), key=len)) < 120


def test_a_missing_column_is_named_with_the_most_similar_one(photos):
    table = ko.predict(StubModel(), opened(photos))

    with pytest.raises(KeyError, match=r"'lable'. Did you mean 'label'"):
        table["lable"]


def test_the_table_converts_to_pandas_and_pickles(photos):
    table = ko.predict(StubModel(), opened(photos))

    frame = table.to_pandas()
    copied = pickle.loads(pickle.dumps(table))
    assert list(frame) == list(table) == list(copied)
    assert frame["cat"].tolist() == table["cat"].tolist() == copied["cat"].tolist()
    assert len(frame[frame["class"] != frame["label"]]) == (table["class"] != table["label"]).sum()


def test_one_sample_is_a_table():
    table = ko.predict(StubModel(2), ko.ArraySequence(np.ones((1, 2), "float32"), [1], class_names=["cat", "dog"]))

    assert table.num_rows == 1
    assert "1 row," in repr(table)
