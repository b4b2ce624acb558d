"""`ko.predict` with models of Keras, on every backend."""

import keras
import numpy as np
import pytest

import keras_oocore as ko

pytestmark = pytest.mark.backend
ROWS = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


def rows(**options):
    return ko.ArraySequence(ROWS, np.arange(50) % 3, batch_size=16, class_names=["a", "b", "c"], **options)


def test_predictions_are_those_of_model_predict():
    model = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")])

    table = ko.predict(model, rows(seed=1))

    expected = model.predict(ROWS, verbose=0, batch_size=16)
    found = np.stack([table[name] for name in "abc"], axis=1)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-6)
    assert table["class"].tolist() == ["abc"[best] for best in expected.argmax(axis=1)]


def test_several_outputs_by_name_or_in_a_list():
    inputs = keras.Input((4,))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(inputs)
    size = keras.layers.Dense(1, name="size")(inputs)
    names = {"kind": ["a", "b", "c"]}

    by_name = ko.predict(keras.Model(inputs, {"kind": kind, "size": size}), rows(), class_names=names)
    in_list = ko.predict(keras.Model(inputs, [kind, size]), rows(), class_names=names)

    columns = ["row", "label", "kind/class", "kind/probability", "kind/a", "kind/b", "kind/c", "size/prediction"]
    assert list(by_name) == list(in_list) == columns
    assert all((by_name[name] == in_list[name]).all() for name in columns)


def test_a_sigmoid_and_mixed_precision():
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid", dtype="mixed_bfloat16")])
    two = ko.ArraySequence(ROWS, np.arange(50) % 2, class_names=["cat", "dog"])

    table = ko.predict(model, two)

    assert table["dog"].dtype == np.float32
    assert np.allclose(table["cat"] + table["dog"], 1)
    assert ((table["class"] == "dog") == (table["dog"] > 0.5)).all()


@pytest.mark.parametrize("suffix", ["csv", pytest.param("parquet", marks=pytest.mark.one_backend)])
def test_a_run_that_was_stopped_continues_with_a_model_that_was_loaded(tmp_path, suffix):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, activation="softmax")]
    )
    model.save(tmp_path / "model.keras")
    whole = ko.predict(model, rows(), to=tmp_path / f"whole.{suffix}")
    predict, calls = model.predict_on_batch, []

    def stopping(x):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(x)
        return predict(x)

    model.predict_on_batch = stopping
    with pytest.raises(KeyboardInterrupt):
        ko.predict(model, rows(), to=tmp_path / f"all.{suffix}")
    path = ko.predict(keras.models.load_model(tmp_path / "model.keras"), rows(), to=tmp_path / f"all.{suffix}")

    assert path.read_bytes() == whole.read_bytes()


def test_other_weights_start_over(tmp_path):
    path = tmp_path / "all.csv"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    predict, calls = model.predict_on_batch, []

    def stopping(x):
        calls.append(x)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(x)

    model.predict_on_batch = stopping
    with pytest.raises(KeyboardInterrupt):
        ko.predict(model, rows(), to=path)
    model.predict_on_batch = predict
    model.set_weights([weight + 0.01 for weight in model.get_weights()])

    with pytest.warns(UserWarning, match=r"weights of the model was .*It starts over"):
        ko.predict(model, rows(), to=path)

    assert path.read_bytes() == ko.predict(model, rows(), to=tmp_path / "expected.csv").read_bytes()


def test_inputs_by_name(tmp_path):
    (tmp_path / "houses.csv").write_text("sqft,city,price\n" + "".join(f"{i},{'ab'[i % 2]},{i}\n" for i in range(20)))
    train = ko.CSVChunkSequence(tmp_path / "houses.csv", "price", features={"numbers": ["sqft"], "city": ["city"]})
    inputs = train.inputs()
    city = keras.layers.Flatten()(train.embedding("city", 2)(inputs["city"]))
    outputs = keras.layers.Dense(1)(keras.layers.Concatenate()([inputs["numbers"], city]))

    table = ko.predict(keras.Model(inputs, outputs), train)

    assert list(table) == ["row", "label", "prediction"]
    assert table["label"].tolist() == [*range(20)]


def images(size):
    return ko.ArraySequence(np.zeros((4, size, size, 3), "uint8"), [0, 1, 0, 1], batch_size=4, class_names=["a", "b"])


def test_images_of_another_size_than_the_input_of_the_model_give_a_warning(recwarn):
    layers = [keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    ko.predict(model, images(8))
    assert not [one for one in recwarn if "was built for" in str(one.message)]

    with pytest.warns(UserWarning, match="was built for samples") as caught:
        ko.predict(model, images(6))

    assert [str(one.message) for one in caught if one.category is UserWarning] == [
        "The model was built for samples of shape (8, 8, 3), and these have shape (6, 6, 3), so its predictions may be "
        "wrong. Pass image_size=(8, 8) to the Sequence."
    ]


def test_images_of_any_size_are_silent_for_a_model_without_a_size(recwarn):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D(), keras.layers.Softmax()])
    ko.predict(model, images(6), class_names=["r", "g", "b"])
    assert not [one for one in recwarn if "was built for" in str(one.message)]


@pytest.mark.one_backend
def test_class_indices_in_place_of_class_names_say_what_to_pass():
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    with pytest.raises(ko.OptionError, match=r"such as train\.class_names\. Received: \{'a': 0, 'b': 1, 'c': 2\}"):
        ko.predict(model, rows(), class_names={"a": 0, "b": 1, "c": 2})
