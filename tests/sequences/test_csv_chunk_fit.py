"""CSVChunkSequence: what models train on, evaluate and predict."""

import keras
import numpy as np
import pytest
from csv_numbers import NUM_ROWS, flat, numbers
from recording import idle_recorder, planned

from keras_oocore.core.errors import OptionError

ONE = pytest.mark.one_backend
cached = pytest.mark.parametrize("cached", [False, pytest.param(True, marks=ONE)], ids=["files", "cache"])


@pytest.mark.backend
@cached
@pytest.mark.parametrize("workers", [pytest.param(0, marks=ONE), 2])
def test_fit_trains_in_the_planned_order(open_csv, cached, workers):
    sequence, model = open_csv(cached=cached, workers=workers), idle_recorder()
    model.fit(sequence, epochs=2, verbose=0)
    assert model.given == planned(sequence, 0, 1)
    model.given = []
    model.fit(sequence, epochs=3, steps_per_epoch=8, verbose=0)
    assert model.given == planned(sequence, 2, 3)[: 3 * 32]


@pytest.mark.backend
@cached
def test_fit_with_validation_data_evaluate_and_predict(open_csv, cached):
    train, val = open_csv(cached=cached).split(validation_split=0.25, seed=1)
    model = idle_recorder()
    model.fit(train, validation_data=val, epochs=2, verbose=0)
    assert len(model.given) == 2 * train.num_rows
    model.dense.kernel.assign([[1.0]])
    model.dense.bias.assign([0.0])
    assert model.predict(val, verbose=0)[:, 0].astype(int).tolist() == flat(numbers(val))
    assert model.evaluate(val, verbose=0) == pytest.approx(np.mean(np.square(flat(numbers(val)))), rel=1e-3)


@pytest.mark.one_backend
def test_sample_weight_column(open_csv):
    sequence, model = open_csv(sample_weight="y", target="x"), idle_recorder()
    model.fit(sequence, verbose=0)
    assert model.weights_given == [2.0 * number for number in model.given]


@pytest.mark.one_backend
def test_features_dictionary_trains_a_model_with_two_inputs(open_csv):
    sequence = open_csv(features={"numbers": ["x"], "city": ["city"]}, batch_size=50)
    numbers_in, city_in = keras.Input((1,), name="numbers"), keras.Input((1,), name="city", dtype="int32")
    merged = keras.layers.Concatenate()(
        [numbers_in, keras.layers.Flatten()(keras.layers.Embedding(len(sequence.vocabulary("city")) + 2, 2)(city_in))]
    )
    model = keras.Model({"numbers": numbers_in, "city": city_in}, keras.layers.Dense(1)(merged))
    model.compile("sgd", "mse")
    model.fit(sequence, verbose=0)
    x, _ = sequence[0]
    assert {name: (part.shape, part.dtype) for name, part in x.items()} == {
        "numbers": ((50, 1), np.float32),
        "city": ((50, 1), np.int32),
    }
    assert ((x["city"][:, 0] == 2) == (x["numbers"][:, 0] % 3 != 0)).all()


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:The codes of 'city' are computed from these rows")
def test_target_none(open_csv):
    sequence = open_csv(target=None, features={"n": ["x"], "c": ["city"]}, shuffle=False, batch_size=50)
    batches = list(sequence)
    assert [set(batch) for batch in batches] == [{"n", "c"}] * 3
    assert np.concatenate([batch["n"] for batch in batches])[:, 0].tolist() == list(range(NUM_ROWS))
    assert sequence.class_names is None
    assert "no target" in repr(sequence)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    rows = open_csv(target=None, shuffle=False, batch_size=50)
    assert model.predict(rows, verbose=0)[:, 0].tolist() == [2.0 * i for i in range(NUM_ROWS)]
    with pytest.raises(OptionError, match="`sample_weight` requires a `target`"):
        open_csv(target=None, sample_weight="y")


@pytest.mark.one_backend
@pytest.mark.filterwarnings("ignore:`features` contains the target")
def test_normalization_scales_numbers_but_not_codes(open_csv):
    sequence = open_csv(features=["x", "city", "y"], batch_size=200, missing="nan", indicator=True)
    x, _ = sequence[0]
    normalized = keras.ops.convert_to_numpy(sequence.normalization()(x))
    np.testing.assert_allclose(normalized[:, [0, 2]].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized[:, [0, 2]].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(normalized[:, [1, 3, 4]], x[:, [1, 3, 4]])
    inputs = open_csv(features={"a": ["x"], "b": ["city"]})
    assert float(np.ravel(inputs.normalization("a").input_mean)[0]) == pytest.approx(58.5)
    with pytest.raises(OptionError, match=r"`name` should be one of 'a', 'b'. Received: name=None"):
        inputs.normalization()


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:`features` contains the target")
def test_normalization_as_first_layer_of_an_unbuilt_model(open_csv):
    sequence = open_csv(features=["x", "y"])
    model = keras.Sequential([sequence.normalization(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(sequence, validation_data=open_csv(features=["x", "y"]), epochs=2, verbose=0)
    mean, variance = (np.ravel(model.layers[0].get_config()[name]) for name in ("mean", "variance"))
    np.testing.assert_allclose(mean, [58.5, 117], rtol=1e-6)
    np.testing.assert_allclose(variance, np.square([34.0624, 68.1249]), rtol=1e-5)
