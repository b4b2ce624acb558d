"""`like`, `save_features` and `load_features`: other rows with what the training rows determine."""

import json
import pickle
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.tables.learned_file import LEARNED_FORMAT

MAY = """sqft,city,sold,fresh,grade,weight,price
1000,Rome,2014-10-13,yes,5,1,cheap
3000,Oslo,2014-10-14,no,7,2,dear
2000,Rome,2014-10-15,no,5,1,cheap
,Rome,,yes,7,1,fair
"""
JUNE = """note,grade,price,city,sqft,fresh,sold
a,7,dear,Paris,,no,2014-10-13
b,5,cheap,Oslo,1500,yes,
c,,fair,,9,no,2014-10-15
"""
DAY = 16356.0
ROWS_OF_JUNE = [[2000, 1, DAY, 0, 3], [1500, 3, DAY + 1, 1, 2], [9, 0, DAY + 2, 0, 0]]
OPTIONS = {
    "target": "price",
    "features": ["sqft", "city", "sold", "fresh", "grade"],
    "missing": "mean",
    "dtypes": {"sold": "%Y-%m-%d", "fresh": "bool"},
    "categorical": ["grade"],
}


@pytest.fixture
def train(write):
    """Function that returns a Sequence of the training rows."""
    write(MAY, "may.csv")
    write(JUNE, "june.csv")
    return lambda **options: ko.CSVChunkSequence("may.csv", **{**OPTIONS, "workers": 0, **options})


@pytest.fixture(params=["train", "pickled", "loaded"])
def source(request, train):
    """Function that returns what has `like` and `encode`: a Sequence, its copy, or what its file says."""

    def source(**options):
        sequence = train(**options)
        if request.param == "pickled":
            return pickle.loads(pickle.dumps(sequence))
        if request.param == "loaded":
            sequence.save_features("saved/features.json")
            return ko.load_features("saved/features.json")
        return sequence

    return source


# Other rows


def test_other_rows_have_codes_means_and_kinds_of_the_training_rows(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = source().like("june.csv", target=None)
        assert rows[0].tolist() == ROWS_OF_JUNE
    assert rows.vocabulary("city") == ["Rome", "Oslo"]
    assert (rows.class_names, rows.class_counts) == (["cheap", "dear", "fair"], None)
    x, y = source().like("june.csv")[0]
    assert (x.tolist(), y.tolist(), y.dtype) == (ROWS_OF_JUNE, [1, 0, 2], np.int32)


def test_inputs_and_indicators_of_other_rows(source):
    x = source(features={"n": ["sqft", "fresh"], "c": ["grade", "city"]}, indicator=True).like("june.csv", None)[0]
    assert (x["n"].tolist(), x["c"].tolist()) == (
        [[2000, 0, 1, 0], [1500, 1, 0, 0], [9, 0, 0, 0]],
        [[3, 1], [2, 3], [0, 0]],
    )
    assert x["c"].dtype == np.int32


def test_all_other_columns_as_features_are_those_of_the_training_rows(source, write):
    write("a,b,y\n1,2,3\n", "may.csv")
    write("new,b,a\nx,20,10\n", "june.csv")
    features = source(features=None, target="y", dtypes=None, categorical=())
    assert features.like("june.csv", target=None)[0].tolist() == [[10, 20]]


def test_kinds_are_not_inferred_from_other_rows(source, write):
    write("sqft,zip,flag,y\n1.5,00123,yes,1\n2,90210,no,2\n", "may.csv")
    write("y,flag,zip,sqft\n,1,123,\n,0,90210,\n", "june.csv")
    features = source(features=None, target="y", dtypes={"zip": str}, categorical=["zip"], missing="nan")
    np.testing.assert_array_equal(features.like("june.csv", None)[0], [[np.nan, 1, 1], [np.nan, 3, 0]])


def doubled(x, y, rng):
    return 2 * x, y


def test_order_batches_and_transform_of_other_rows(source):
    features = source(batch_size=1, shuffle=True, transform=doubled, seed=3)
    rows = features.like("june.csv")
    assert (len(rows), rows.batch_size, rows[0][0].tolist()) == (1, 100, ROWS_OF_JUNE)
    rows = features.like("june.csv", None, batch_size=2, transform=lambda x, y, rng: (-x, y), workers=2, cache="cache")
    assert [batch.tolist() for batch in rows] == [
        (-np.array(part)).tolist() for part in (ROWS_OF_JUNE[:2], ROWS_OF_JUNE[2:])
    ]
    assert "shuffled" in repr(features.like("june.csv", shuffle=True))


def test_reading_options_are_those_of_the_training_rows_unless_they_are_given(source, write):
    write("# made in May\nsqft;city;y\n1,5;-;1\n2,5;Oslo;2\n", "may.csv")
    write("# made in June\ncity;sqft\nOslo;-\n", "june.csv")
    write("city,sqft\nOslo,?\n", "other.csv")
    reading = {"delimiter": ";", "decimal": ",", "comment": "#", "null_values": [..., "-"]}
    features = source(target="y", features=["sqft", "city"], dtypes=None, categorical=(), **reading)
    assert features.like("june.csv", None)[0].tolist() == [[2, 2]]
    assert features.like("other.csv", None, delimiter=",", null_values=["?"])[0].tolist() == [[2, 2]]
    with pytest.raises(ko.OptionError, match="`delimiter` should be one ASCII character"):
        features.like("june.csv", delimiter="::")


@pytest.mark.filterwarnings("ignore:The means that replace missing cells")
def test_files_without_a_header_and_with_given_names(source, write):
    write("1,2\n3,4\n", "may.csv")
    write("5,6\n", "june.csv")
    options = {"target": None, "dtypes": None, "categorical": (), "header": False}
    assert source(**options, features=["column_1"]).like("june.csv")[0].tolist() == [[6]]
    named = source(**options, features=["b"], column_names=["a", "b"])
    assert named.like("june.csv")[0].tolist() == [[6]]
    assert named.like("june.csv", column_names=["b", "c"])[0].tolist() == [[5]]


def test_several_targets_and_weights_of_other_rows(source):
    features = source(target=["price", "city"], features=["sqft"], sample_weight="weight", dtypes=None, categorical=())
    _, y, weight = features.like("may.csv")[0]
    assert (y.tolist(), weight.tolist()) == ([[0, 1], [1, 0], [0, 1], [2, 1]], [1, 2, 1, 1])
    assert len(features.like("may.csv", ["price", "city"], sample_weight=None)[0]) == 2
    assert features.like("june.csv", target=None)[0].shape == (3, 1)
    with pytest.raises(
        ko.DataError, match=r"^'june.csv': columns of the training rows are missing: 'weight'. Columns: 'n"
    ):
        features.like("june.csv")
    with pytest.raises(ko.OptionError, match="`like` uses `sample_weight` of the training rows"):
        features.like("may.csv", sample_weight="sqft")


def test_drop_and_fixed_values_of_missing_cells(source):
    assert source(missing="drop", features=["sqft"], dtypes=None, categorical=()).like("june.csv").num_rows == 2
    fixed = source(missing={"sqft": -1, "weight": 7}, features=["sqft"], target="weight", dtypes=None, categorical=())
    assert fixed.like("june.csv", None)[0].tolist() == [[-1], [1500], [9]]


def test_ids_that_other_rows_lack(source, write):
    features = source(features=["sqft"], ids=["city"], dtypes=None, categorical=())
    write("sqft\n1000\n", "june.csv")
    with pytest.raises(
        ko.DataError, match=r"are missing: 'city'\. Columns: 'sqft'\. For rows without 'city': ids=\(\)\.$"
    ):
        features.like("june.csv", target=None)
    assert features.like("june.csv", target=None, ids=())[0].tolist() == [[1000]]


def test_missing_columns_are_refused_with_all_names_and_the_file(source, write):
    write("sqft;city;fresh\n1;Rome;yes\n", "june.csv")
    with pytest.raises(ko.DataError) as caught:
        source().like("june.csv", target=None)
    assert str(caught.value) == (
        "'june.csv': columns of the training rows are missing: 'sqft', 'city', 'sold', 'fresh', 'grade'. "
        "Columns: 'sqft;city;fresh'. Is it delimiter=';'?"
    )
    with pytest.raises(
        ko.DataError, match=r"missing: 'sold', 'grade', 'price'.*For rows without 'price': target=None\.$"
    ):
        source().like("june.csv", delimiter=";")


def test_class_that_training_has_not_seen_is_an_error(source, write):
    write(JUNE.replace("fair", "free"), "june.csv")
    message = r"june.csv: row 2 \(line 4\), column 'price' \(#2\): 'free' is not one of the 3 classes .* Fix: train on"
    with pytest.raises(ko.DataError, match=message):
        list(source().like("june.csv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(target="city"), "`target` should be None, or that of the training rows, 'price'. Received: target='"),
        (dict(target=["price"]), r"Received: target=\['price'\]"),
        (dict(missing="nan"), "`like` uses `missing` of the training rows. Remove it, or make the Sequence of the"),
        (dict(features=["sqft"]), r"`like` uses `features` .* Received: features=\['sqft'\]"),
        (dict(dtypes={}), "`like` uses `dtypes`"),
        (dict(batchsize=3), "`like` has no argument `batchsize`. Did you mean 'batch_size'"),
        (dict(sep=";"), "`like` has no argument `sep`. Use `delimiter` instead"),
        (dict(shuffle="block"), "`shuffle` should be True or False"),
    ],
)  # fmt: skip
def test_invalid_arguments(source, arguments, message):
    with pytest.raises(ko.OptionError, match=message):
        source().like("june.csv", **arguments)


def test_target_of_training_rows_without_one(source):
    features = source(target=None, features=["sqft"], missing="nan", dtypes=None, categorical=())
    assert features.like("june.csv")[0].shape == (3, 1)
    with pytest.raises(ko.OptionError, match=r"`target` should be None\. Received: target='price'"):
        features.like("june.csv", target="price")


@pytest.mark.parametrize("content", ["", "sqft,city,sold,fresh,grade\n"])
def test_empty_file_is_an_error(source, write, content):
    write(content, "june.csv")
    with pytest.raises(ko.DataError, match=r"the file is empty|There are no rows in 'june.csv'"):
        source().like("june.csv", target=None)
    with pytest.raises(ko.DataError, match=r"No such file|does not exist|cannot be read"):
        source().like("july.csv", target=None)


# Parts, caches and copies of other rows


def test_parts_use_the_codes_and_means_of_the_training_part(train):
    training, validation = train(features=["sqft", "city"], categorical=()).split(0.5, seed=3)
    expected = training.like("june.csv", target=None)[0].tolist()
    assert validation.like("june.csv", target=None)[0].tolist() == expected
    assert validation.means == training.means
    assert training.means["sqft"] != train().means["sqft"]
    validation.save_features("features.json")
    assert ko.load_features("features.json").like("june.csv", target=None)[0].tolist() == expected
    row = {"sqft": None, "city": "Rome"}
    assert validation.partition(1)[0].encode(row).tolist() == training.encode(row).tolist()


def test_split_and_pickled_other_rows_keep_the_codes(source):
    rows = source().like("june.csv")
    first, second = rows.split(0.5, seed=2)
    found = {*map(tuple, rows_of(first)), *map(tuple, rows_of(second))}
    assert found == set(map(tuple, ROWS_OF_JUNE))
    assert rows_of(pickle.loads(pickle.dumps(rows))) == ROWS_OF_JUNE
    assert first.vocabulary("city") == rows.vocabulary("city") == ["Rome", "Oslo"]
    again = first.like("june.csv")
    assert rows_of(again) == ROWS_OF_JUNE


def rows_of(sequence):
    return np.concatenate([x for x, _ in sequence]).tolist()


def test_cache_of_rows_with_other_codes_is_refused(source, write):
    for _ in range(2):
        rows = source().like("june.csv", target=None, cache="cache")
        assert next(iter(rows)).tolist() == ROWS_OF_JUNE
        assert rows.summary()["sqft"].mean == 754.5  # of these rows
        assert rows.normalization().mean[0, 0] == 2000  # of the training rows
    write(MAY.replace("3000", "6000"), "may.csv")
    with pytest.raises(ko.DataError, match=r"stores other rows: .*means and codes was 'CRC-32.*overwrite_cache=True"):
        list(source().like("june.csv", target=None, cache="cache"))


def test_training_cache_provides_the_statistics(train, monkeypatch):
    list(train(cache="cache"))
    rows = train(cache="cache")
    monkeypatch.setattr("keras_oocore.tables.row_statistics.RowStatistics._computed", pytest.fail)
    assert rows.like("june.csv", target=None)[0].tolist() == ROWS_OF_JUNE
    rows.save_features("features.json")
    assert ko.load_features("features.json").means == rows.means


# What can be read


def test_means_classes_and_counts(source):
    features = source()
    assert features.means == {"sqft": 2000, "sold": DAY + 1, "fresh": 0.5}
    assert features.class_names == ["cheap", "dear", "fair"]
    assert features.class_counts == {"cheap": 2, "dear": 1, "fair": 1}
    assert features.like("june.csv").class_counts == {"cheap": 1, "dear": 1, "fair": 1}
    assert features.like("june.csv").means == features.means
    assert (features.vocabulary("city"), features.vocabulary("grade")) == (["Rome", "Oslo"], ["5", "7"])
    numbers = source(features=["sqft"], target="weight", missing="nan", dtypes=None, categorical=())
    assert (numbers.means, numbers.class_names, numbers.class_counts) == ({"sqft": 2000}, None, None)


def test_mean_of_a_column_without_a_number_is_nan(source, write):
    write("a,y\n,1\n", "may.csv")
    means = source(features=["a"], target="y", missing="nan", dtypes=None, categorical=()).means
    assert np.isnan(means["a"])


def test_class_counts_of_parts_add_up(train):
    training, validation = train(missing="nan").split(0.5, seed=1)
    counts = [part.class_counts for part in (training, validation)]
    assert sum(sum(count.values()) for count in counts) == 4


def test_inputs_embedding_and_normalization(source):
    features = source(features={"n": ["sqft", "fresh"], "c": ["city"]}, dtypes={"fresh": "bool"}, categorical=())
    inputs = features.inputs()
    assert {name: (part.name, part.shape, part.dtype) for name, part in inputs.items()} == {
        "n": ("n", (None, 2), "float32"),
        "c": ("c", (None, 1), "int32"),
    }
    layer = features.embedding("city", 3, name="place")
    assert (layer.input_dim, layer.output_dim, layer.name) == (4, 3, "place")
    assert np.ravel(features.normalization("n").mean).tolist() == [2000, 0.5]
    one = source(features=["city"], dtypes=None, categorical=()).inputs()
    assert (one.shape, one.dtype) == ((None, 1), "int32")
    with pytest.raises(ko.OptionError, match=r"'c' is an input, and `column` should be a column: 'city'. Received"):
        features.embedding("c", 3)
    with pytest.raises(ko.OptionError, match=r"read as numbers. If they are categories: categorical=\['sqft'\]"):
        features.embedding("sqft", 3)
    with pytest.raises(ko.OptionError, match=r"`column` should be a feature that has codes: 'city'. Received"):
        features.embedding("town", 3)
    with pytest.raises(ko.OptionError, match=r"`name` should be one of 'n', 'c'. Received: name='sqft'"):
        features.normalization("sqft")
    with pytest.raises(ko.OptionError, match="Received: column='price'"):
        features.embedding("price", 3)
    with pytest.raises(
        ko.OptionError, match=r"`column` should be a column of strings: 'city', 'price'. Received: 'sqft'"
    ):
        features.vocabulary("sqft")


@pytest.mark.one_backend
def test_model_of_the_features_trains_and_predicts_the_next_file(train):
    rows = train(features={"n": ["sqft", "fresh"], "c": ["city"]}, dtypes={"fresh": "bool"}, categorical=())
    inputs = rows.inputs()
    city = keras.layers.Flatten()(rows.embedding("city", 2)(inputs["c"]))
    merged = keras.layers.Concatenate()([rows.normalization("n")(inputs["n"]), city])
    model = keras.Model(inputs, keras.layers.Dense(len(rows.class_names), activation="softmax")(merged))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(rows, verbose=0)
    model.evaluate(rows.like("june.csv"), verbose=0)
    predicted = model.predict(rows.like("june.csv", target=None), verbose=0)
    rows.save_features("features.json")
    new = [{"sqft": None, "city": "Paris", "fresh": False}, {"sqft": 1500, "city": "Oslo", "fresh": True}]
    encoded = model.predict(ko.load_features("features.json").encode(new), verbose=0)
    np.testing.assert_allclose(encoded, predicted[:2], rtol=1e-5)


# The file


def test_saved_file_is_plain_json_and_is_replaced_as_a_whole(train, tmp_path):
    train().save_features(tmp_path / "ünï côdé" / "features.json")
    train(features=["sqft"], dtypes=None, categorical=()).save_features(tmp_path / "ünï côdé" / "features.json")
    assert [path.name for path in (tmp_path / "ünï côdé").iterdir()] == ["features.json"]
    saved = json.loads((tmp_path / "ünï côdé" / "features.json").read_text())
    assert next(iter(saved)) == "format"
    assert saved["options"]["features"] == ["sqft"]
    with pytest.raises(ko.DestinationError, match="Cannot write"):
        train().save_features(tmp_path)


def test_repr(source):
    assert "sqft" not in repr(source())
    features = source(features={"n": ["sqft"], "c": ["city"]}, dtypes=None, categorical=())
    if isinstance(features, ko.TableFeatures):
        assert repr(features) == (
            "<TableFeatures: n float32 (batch, 1), c int32 (batch, 1), target 'price', from 'saved/features.json'>"
        )


def saved_without(saved, *keys):
    for key in keys[:-1]:
        saved = saved[key]
    del saved[keys[-1]]


@pytest.fixture
def change(train):
    """Function that saves features, changes the values of the file, and returns its path."""

    def change(edit):
        train().save_features("features.json")
        saved = LEARNED_FORMAT.read("features.json", dict)
        edit(saved)
        LEARNED_FORMAT.write(
            "features.json", {key: value for key, value in saved.items() if key not in ("format", "crc32")}
        )
        return "features.json"

    return change


@pytest.mark.parametrize(
    "keys",
    [
        ["reading"], ["options"], ["options", "target"], ["columns"], ["codes"], ["codes", "city"], ["means"],
        ["statistics"], ["statistics", "sqft", "mean"], ["content"],
    ],
)  # fmt: skip
def test_incomplete_file_is_damaged(change, keys):
    with pytest.raises(
        ko.DataError, match=r"'features.json' is damaged \(.*\). Save the features again: train.save_fe"
    ):
        ko.load_features(change(lambda saved: saved_without(saved, *keys)))


@pytest.mark.parametrize("keys", [["reading"], ["options"], ["columns", 0], ["statistics", "sqft", "column"]])
def test_file_with_a_name_that_does_not_exist_yet_is_of_a_newer_version(change, keys):
    def edit(saved):
        for key in keys:
            saved = saved[key]
        saved["colour"] = 1

    with pytest.raises(
        ko.DataError, match=r"has 'colour', which this version of .* does not know. Upgrade: pip install"
    ):
        ko.load_features(change(edit))


def test_options_that_were_added_later_have_their_defaults(change):
    def edit(saved):
        for name in ("on_bad_row", "comment"):
            del saved["reading"][name]
        del saved["options"]["indicator"]

    assert ko.load_features(change(edit)).like("june.csv", target=None)[0].tolist() == ROWS_OF_JUNE


def test_damaged_newer_and_other_files_are_refused(train, write):
    train().save_features("features.json")
    whole = Path("features.json").read_bytes()
    for damaged in (whole[:-10], whole.replace(b"Rome", b"Roma", 1), b"", b"{}"):
        write(damaged, "features.json")
        with pytest.raises(
            ko.DataError, match=r"'features.json' is damaged .* train.save_features\(\"features.json\"\)"
        ):
            ko.load_features("features.json")
    for other in (b"PK\x03\x04", b"[1]", b"id,price\n"):
        write(other, "features.json")
        with pytest.raises(ko.DataError, match=r"'features.json' is not a file of features. .* train.save_features"):
            ko.load_features("features.json")
    write(whole.replace(b'"format": 1', b'"format": 9').partition(b', "crc32"')[0] + b"}", "features.json")
    with pytest.raises(ko.DataError, match="damaged"):
        ko.load_features("features.json")  # without a checksum
    LEARNED_FORMAT.__class__(9, "").write("features.json", {"keras_oocore": "9.0"})
    with pytest.raises(ko.DataError, match=r"has format 9, written by keras_oocore 9.0, .* Upgrade: pip install"):
        ko.load_features("features.json")
    ko.Manifest.from_arrays(["a.npy"], directory=None).save("manifest")
    with pytest.raises(ko.DataError, match=r"damaged \(`save_features` did not write it\)"):
        ko.load_features("manifest/manifest.json")
    for path, reason in (("missing.json", "No such file"), ("manifest", "Is a directory")):
        with pytest.raises(ko.DataError, match=reason):
            ko.load_features(path)


# The warning


def test_codes_and_means_of_rows_without_a_target_are_a_warning(train):
    message = r"codes of 'city', 'grade' are computed .* train.like\('may.csv', target=None\).*ko.load_features"
    with pytest.warns(UserWarning, match=message):
        train(target=None)
    with pytest.warns(UserWarning, match="The means that replace missing cells are computed from these rows"):
        train(target=None, features=["sqft"], dtypes=None, categorical=())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(target=None, features=["sqft"], dtypes=None, categorical=(), missing="nan")
        train(target=None, features=["sqft"], dtypes=None, categorical=(), missing={"sqft": 0})


def test_numbers_without_means_need_no_pass_over_the_training_rows(train, monkeypatch):
    monkeypatch.setattr("keras_oocore.tables.row_statistics.RowStatistics._computed", pytest.fail)
    rows = train(features=["sqft"], target="weight", missing="nan", dtypes=None, categorical=())
    assert rows.like("june.csv", target=None)[0].shape == rows.encode({"sqft": [1, 2, 3]}).shape == (3, 1)
    assert rows.inputs().shape == (None, 1)
