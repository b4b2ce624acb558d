"""The stack shows which method of which model reads a dataset."""

import keras
import numpy as np
import pytest

from keras_oocore.sequences.keras_call import keras_call


class Asking(keras.utils.PyDataset):
    """One batch. It asks which call reads it."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return np.zeros((2, 1), "float32"), np.zeros((2, 1), "float32")

    def on_epoch_begin(self):
        self.calls.append(keras_call())


@pytest.mark.backend
def test_innermost_call_of_keras():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    train, validation = Asking(), Asking()

    assert keras_call() is None
    model.fit(train, validation_data=validation, epochs=2, verbose=0)
    assert {(call.method, call.model) for call in train.calls} == {("fit", model)}
    epochs = [call.arguments["epoch"] for call in train.calls]
    assert epochs in ([None, 0, 1], [0, 1])  # TensorFlow builds the model elsewhere
    assert {(call.method, call.model) for call in validation.calls} == {("evaluate", model)}
    validation.calls.clear()
    model.predict(validation, verbose=0)
    assert {(call.method, call.model) for call in validation.calls} == {("predict", model)}
