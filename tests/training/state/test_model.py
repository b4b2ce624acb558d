"""Which models belong to a checkpoint, and the errors and warnings for other models, versions and backends."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import hidden_packages
import keras
import numpy as np
import pytest
import training_child as child
from training_child import Killed, data, killer

import keras_oocore as ko
from keras_oocore.core.errors import DataError
from keras_oocore.training import saving
from keras_oocore.training.state import model as model_state
from keras_oocore.training.state.checkpoints import exclusive

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("fast_training")]
BACKEND = keras.backend.backend()
OTHER_BACKEND = "torch" if BACKEND == "jax" else "jax"  # the one that starts sooner


def model(units=3, dropout=False, name="head", optimizer=None, metrics=("accuracy",), more=False):
    """Return a compiled model. Built again in one process, its automatic names have other numbers."""
    layers = [keras.layers.Dense(4), *([keras.layers.Dropout(0.5)] if dropout else [])]
    layers += [keras.layers.Dense(units, name=name), *([keras.layers.BatchNormalization()] if more else [])]
    made = keras.Sequential([keras.Input((5,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(optimizer or keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=list(metrics), run_eagerly=True)
    return made


def fit(made, directory, epochs, **options):
    return ko.fit_resumable(made, data(), epochs, directory, verbose=0, **options)


def killed_within_an_epoch(made, directory):
    """Write a checkpoint with the states of metrics."""
    with pytest.raises(Killed):
        fit(made, directory, 1, save_every_batches=1, callbacks=[killer(3)])


# --- another model --------------------------------------------------------------------------------------------------

OTHERS = {
    "larger": ({"units": 7}, {}, r"'[^']*head/kernel' of shape \(4, 3\), and is '[^']*head/kernel' of shape \(4, 7\)"),
    "renamed": (
        {"name": "top"},
        {},
        r"'[^']*head/kernel' of shape \(4, 3\), and is '[^']*top/kernel' of shape \(4, 3\)",
    ),
    "more": ({"more": True}, {}, r"missing, and is '[^']*gamma' of shape \(3,\)"),
    "fewer": ({}, {"more": True}, r"'[^']*gamma' of shape \(3,\), and is missing"),
    "no dropout": (
        {"dropout": False},
        {"dropout": True},
        r"'[^']*seed_generator_state' of shape \(\d*,?\), and is (missing|'[^']*head/kernel' of shape \(4, 3\))",
    ),
}


@pytest.mark.parametrize(
    ("now", "before", "differs"),
    [pytest.param(*c, id=n, marks=[] if n == "no dropout" else pytest.mark.one_backend) for n, c in OTHERS.items()],
)
def test_resume_with_another_model_is_an_error(tmp_path, now, before, differs):
    fit(model(**before), tmp_path, 1)
    path = max(tmp_path.glob("checkpoint-*"))
    expected = (
        rf"^The checkpoint {re.escape(repr(str(path)))} belongs to another model: its variable \d was {differs}\. "
        r"Build and compile the same model as before, or choose another directory\.$"
    )
    with pytest.raises(DataError, match=expected):
        fit(model(**now), tmp_path, 2)
    fit(model(**before), tmp_path, 2)  # the checkpoint can still be used


@pytest.mark.one_backend
def test_resume_with_another_optimizer_is_an_error(tmp_path):
    fit(model(optimizer=keras.optimizers.SGD(0.01, momentum=0.9)), tmp_path, 1)
    with pytest.raises(DataError, match=r"another optimizer: its variable \d was '[^']+' of shape .*, and is '"):
        fit(model(optimizer=keras.optimizers.Adam(0.01)), tmp_path, 2)


def test_resume_with_other_metrics(tmp_path):
    """Within an epoch, metrics have a state. Between epochs they do not, and other metrics may be used."""
    killed_within_an_epoch(model(), tmp_path / "within")
    with pytest.raises(DataError, match=r"belongs to another set of metrics: its variable \d was "):
        fit(
            model(metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(from_logits=True)]),
            tmp_path / "within",
            2,
        )
    fit(model(), tmp_path / "between", 1)
    fit(model(metrics=[]), tmp_path / "between", 2)


def test_learning_rate_is_restored(tmp_path):
    """It is a variable of the optimizer, which a callback may have changed."""
    fit(model(optimizer=keras.optimizers.Adam(0.5)), tmp_path, 1)
    fit(made := model(optimizer=keras.optimizers.Adam(0.1)), tmp_path, 2)
    assert float(keras.ops.convert_to_numpy(made.optimizer.learning_rate)) == 0.5


def test_model_built_again_in_one_process(tmp_path):
    """As in a notebook cell that is run twice: Keras continues to number the layers."""
    killed_within_an_epoch(first := model(), tmp_path)
    second = model()
    assert [v.path for v in first.variables] != [v.path for v in second.variables]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert fit(second, tmp_path, 2).epoch == [0, 1]


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("dense_1/kernel", "dense_12/kernel", True),
        ("dense/kernel", "dense_3/kernel", True),
        ("sequential_4/dense_1/kernel", "sequential/dense/kernel", True),
        ("adam/dense_1_kernel_momentum", "adam/dense_kernel_momentum", True),
        ("dense/kernel", "dense/bias", False),
        ("block_a/kernel", "block_b/kernel", False),
        ("conv2d/kernel", "conv3d/kernel", False),
    ],
)
def test_numbers_in_names_are_ignored(one, other, same):
    assert (model_state._identity(one) == model_state._identity(other)) == same


# --- exact values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_bit_of_a_variable_is_restored(dtype):
    """Including NaN, infinity, negative zero and subnormal numbers."""
    made = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, dtype=dtype), keras.layers.Dropout(0.5)])
    made.compile("sgd", "mse")
    made.optimizer.build(made.trainable_variables)
    bits = np.random.default_rng(0).integers(0, 2**16, 20, dtype="uint16")
    bits[:4] = 0x8000, 0x7F80, 0x0001, 0xFFC0
    if dtype == "float32":
        values = (bits.astype("uint32") << 16).view("float32").reshape(5, 4)
    else:
        values = bits.view(keras.ops.convert_to_numpy(made.variables[0].value).dtype).reshape(5, 4)
    values = np.where(np.isnan(values), values.dtype.type(np.nan), values)  # the kind of NaN may change
    made.variables[0].assign(values)
    paths, arrays = model_state.capture(made, with_metrics=False)
    captured = [np.array(array) for array in arrays.values()]
    assert arrays["model/0"].dtype == values.dtype
    for variable in made.variables:
        variable.assign(np.zeros(variable.shape))
    model_state.require_same_variables(made, paths, arrays, "It")
    model_state.restore(made, paths, arrays)
    again = model_state.capture(made, with_metrics=False)[1]
    assert [array.tobytes() for array in again.values()] == [array.tobytes() for array in captured]


def test_captured_arrays_are_copies():
    made = child.small_model()
    made.optimizer.build(made.trainable_variables)
    _, arrays = model_state.capture(made, with_metrics=False)
    before = arrays["model/0"].copy()
    made.variables[0].assign(made.variables[0] + 1)
    made.fit(data(), verbose=0)
    np.testing.assert_array_equal(arrays["model/0"], before)


# --- other versions and backends ------------------------------------------------------------------------------------


def resumed(directory, epochs=2):
    """Resume a training, and return the model, the history and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = ko.fit_resumable(
            made := child.small_model(), data(), epochs, directory, save_every_batches=1, verbose=0
        )
    found = [warning for warning in caught if "was written with" in str(warning.message)]
    assert all(Path(warning.filename) == Path(__file__) for warning in found)  # the warning points to the calling line
    return made, history, [str(warning.message) for warning in found]


def expected_warning(path, what):
    return (
        f"The checkpoint {str(path)!r} was written with {what}. Weights, optimizer, history and the position in the "
        "data are restored, but the training is not bit-identical: for example, dropout draws other numbers."
    )


@pytest.mark.one_backend
def test_checkpoint_of_another_version_is_a_warning(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        before = {"keras_oocore": "0.0.9", "keras": "3.9.0", "backend": BACKEND}
        patch.setattr(saving, "versions", lambda: before)
        ko.fit_resumable(child.small_model(), data(), 1, tmp_path, verbose=0)
    path = max(tmp_path.glob("checkpoint-*"))
    _, history, messages = resumed(tmp_path)
    assert history.epoch == [0, 1]
    assert messages == [
        expected_warning(path, f"keras_oocore 0.0.9, now {ko.__version__}; keras 3.9.0, now {keras.__version__}")
    ]
    assert resumed(tmp_path)[2] == []  # this version wrote the newest checkpoint


CHILD = """
import sys
import training_child as child, keras_oocore as ko
made = child.small_model()
for epochs, used in ((1, None), (2, [child.killer(3)])):
    try:
        ko.fit_resumable(made, child.data(), epochs, sys.argv[1], save_every_batches=1, verbose=0, callbacks=used)
    except child.Killed:
        pass
"""


@pytest.mark.child
@pytest.mark.skipif(BACKEND != "tensorflow", reason="one pair of backends shows it")
def test_checkpoint_of_another_backend_is_a_warning(tmp_path):
    """Weights, optimizer, history and the position in the data do not depend on the backend."""
    environment = hidden_packages.environment(OTHER_BACKEND)
    environment["PYTHONPATH"] += os.pathsep + str(Path(child.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path], env=environment, stderr=subprocess.PIPE, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    with exclusive(tmp_path) as directory:
        written = directory.latest()
    assert written.state["place"]["batches"] == 6
    assert written.state["versions"]["backend"] == OTHER_BACKEND
    loaded = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: loaded.append((batch, child.variables(made)))
    )
    with pytest.warns(UserWarning, match="was written with") as caught:
        history = ko.fit_resumable(made := child.small_model(), data(), 2, tmp_path, verbose=0, callbacks=[record])
    assert str(caught[0].message) == expected_warning(written.path, f"backend {OTHER_BACKEND}, now {BACKEND}")
    assert history.epoch == [0, 1]
    assert history.history["loss"][0] == written.state["history"]["dict"]["loss"][0]
    batch, values = loaded[0]
    assert batch == 2
    groups = [written.arrays[f"{group}/{i}"] for group in ("model", "optimizer")
              for i in range(len(written.state["variables"][group]))]  # fmt: skip
    assert len(values) == len(groups)
    for value, array in zip(values, groups):  # the dtypes of generators depend on the backend
        np.testing.assert_array_equal(value, array)
