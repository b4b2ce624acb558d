"""`normalization()`: mean and variance of the samples, as `keras.layers.Normalization.adapt` finds them."""

import keras
import numpy as np
import pytest
from array_likes import Slices

import keras_oocore as ko
from keras_oocore.core.moments import Moments
from keras_oocore.sequences.in_order import ReadBatch

RNG = np.random.default_rng(0)
IMAGES = (RNG.random((50, 4, 6, 3)) * [250, 90, 10] + [0, 100, 5]).astype("uint8")


def assert_as_adapted(layer, values, axis=-1):
    adapted = keras.layers.Normalization(axis=axis)
    adapted.adapt(np.asarray(values, "float64"))  # in float32, `adapt` itself is off by more
    for name in ("mean", "variance"):
        found, expected = (keras.ops.convert_to_numpy(getattr(one, name)) for one in (layer, adapted))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    x = np.asarray(values[:5], "float32")
    found, expected = (keras.ops.convert_to_numpy(one(x)) for one in (layer, adapted))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("axis", [-1, 3, None, (1, 3), [-1, 1], ()])
def test_layer_is_as_adapted_to_all_samples(axis):
    sequence = ko.ArraySequence(IMAGES, labels=np.zeros(50), batch_size=16)

    assert_as_adapted(sequence.normalization(axis), IMAGES, axis)


@pytest.mark.backend
def test_rows_far_from_zero_and_options_of_batches():
    values = RNG.normal(10_000, 0.5, (997, 3)).astype("float32")
    sequence = ko.ArraySequence(values, labels=None, last_batch="drop", transform=lambda x, y, rng: (x * 0, y), seed=0)

    assert_as_adapted(sequence.normalization(), values)
    halved = ko.ArraySequence(values, labels=None, rescale=0.5, sample_weight=None)
    assert_as_adapted(halved.normalization(), values * np.float32(0.5))
    in_blocks = ko.ArraySequence(Slices(values, chunks=(10, 3)), labels=None, memory_limit="10kB")
    assert_as_adapted(in_blocks.normalization(), values)


@pytest.mark.backend
@pytest.mark.parametrize("axis", [-1, pytest.param(None, marks=pytest.mark.one_backend)])
def test_a_model_with_the_layer_is_trained_and_saved(tmp_path, axis):
    sequence = ko.ArraySequence(IMAGES, labels=np.zeros(50))
    layers = [sequence.normalization(axis), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    model.fit(sequence, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), rtol=1e-5)


def test_the_position_in_the_data_does_not_change():
    sequence, plan = (ko.ArraySequence(IMAGES, labels=None, batch_size=16, seed=0) for _ in range(2))
    loop = iter(sequence)
    given = [next(loop).tobytes()]
    sequence.normalization()
    given += [x.tobytes() for x in loop]

    assert given == [x.tobytes() for x in plan]


def test_parts_have_means_of_their_own():
    values = np.arange(100.0)[:, np.newaxis]
    for part in ko.ArraySequence(values, labels=None, batch_size=10, seed=0).partition(2):
        expected = np.concatenate(list(part)).mean()
        assert part.normalization().input_mean.item() == pytest.approx(expected)


def test_unreadable_files_are_left_out_or_named(photos):
    options = dict(image_size=(4, 4), seed=0)
    (photos / "bee" / "5.png").write_bytes(b"not an image")
    left = np.delete(np.arange(10), 5)

    for on_error in ("skip", "replace"):
        layer = ko.ImageFolderSequence(photos, **options, batch_size=2, on_error=on_error).normalization()
        assert layer.input_mean.tolist() == pytest.approx([10 * left.mean()] * 3)
        assert layer.input_variance.tolist() == pytest.approx([100 * left.var()] * 3)
    with pytest.raises(ko.SampleError, match=r"5\.png.*Fix or remove it, or pass on_error="):
        ko.ImageFolderSequence(photos, **options).normalization()
    for path in photos.glob("*/*.png"):
        path.write_bytes(b"not an image")
    with pytest.raises(ko.DataError, match="None of the 10 samples can be read"):
        ko.ImageFolderSequence(photos, **options, on_error="skip", retries=0).normalization()


def test_channels_first_and_packed(photos, tmp_path):
    first = ko.ImageFolderSequence(photos, image_size=(4, 4), data_format="channels_first")
    assert first.normalization(axis=1).input_mean.tolist() == [45, 45, 45]
    assert ko.open_packed(first.pack(tmp_path / "packed")).normalization().input_mean.tolist() == [45, 45, 45]


@pytest.mark.parametrize("axis", [0, -4, 4, (1, 1), "channels", (0, 3)])
def test_wrong_axes_are_refused(axis):
    with pytest.raises(
        ko.OptionError,
        match=r"`axis` should be an axis of a batch with 4 axes other than the first: "
        r"from 1 to 3, a tuple of them, or None. Received: axis=",
    ):
        ko.ArraySequence(IMAGES, labels=None).normalization(axis)


def test_samples_that_are_numbers_have_one_mean():
    sequence = ko.ArraySequence(np.arange(5.0), labels=None)
    assert sequence.normalization(None).input_mean == 2
    with pytest.raises(ko.OptionError, match="None for samples without axes"):
        sequence.normalization()


def test_parts_of_any_size_join_to_the_same_variance():
    values = RNG.normal(1e6, 1, (1000, 4))
    joined = Moments()
    for part in np.split(values, [0, 1, 3, 500, 999]):
        joined = joined.joined(Moments.of(part, (1,))) if len(part) else joined

    np.testing.assert_allclose(joined.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(joined.variance, values.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize("x", [{"a": IMAGES, "b": IMAGES[:, 0, 0]}, (IMAGES, IMAGES[:, 0, 0])])
def test_several_inputs_have_a_layer_each(monkeypatch, x):
    class Inputs:
        num_batches = num_samples = 1

        def read(self, position):
            return ReadBatch(np.zeros(1, int), np.ones(1, bool), {}, (x, np.zeros(50)))

        def release(self):
            pass

    sequence = ko.ArraySequence(IMAGES, labels=None)
    monkeypatch.setattr(sequence, "in_order", lambda **options: Inputs())
    layers = sequence.normalization()

    assert list(layers) == (list(x) if isinstance(x, dict) else [0, 1])
    for name, layer in layers.items():
        np.testing.assert_allclose(layer.input_mean, x[name].reshape(-1, 3).mean(axis=0), rtol=1e-6)
