"""`per_sample`: draws that depend on seed, epoch and sample, and results that fit together."""

import pickle

import cloudpickle
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.batches.transform import Draws
from keras_oocore.core.fingerprint import described

NUM_SAMPLES = 23


@ko.per_sample
def noise(x, y, rng):
    """Return three draws of each kind, so that a generator that kept bits of another sample would show."""
    return x, np.array([rng.random(), rng.integers(1000, dtype=np.uint32), rng.standard_normal()])


def rows_of(batch_size=5, transform=noise, **options):
    rows = np.arange(NUM_SAMPLES, dtype="int64")
    options = {"labels": np.arange(NUM_SAMPLES), "label_mode": "raw", "seed": 1, **options}
    return ko.ArraySequence(rows, batch_size=batch_size, transform=transform, **options)


def draws_of(*sequences, epochs=2):
    """The draws of each sample in each epoch."""
    drawn = [{} for _ in range(epochs)]
    for sequence in sequences:
        for of_epoch in drawn:
            for x, y in sequence:
                of_epoch.update(zip(x.tolist(), map(tuple, y.tolist())))
    return drawn


def test_draws_depend_on_seed_epoch_and_sample_alone():
    expected = draws_of(rows_of())

    assert len({draw for of_epoch in expected for draw in of_epoch.values()}) == 2 * NUM_SAMPLES
    assert expected == draws_of(rows_of(batch_size=1)) == draws_of(rows_of(batch_size=NUM_SAMPLES, workers=0))
    assert expected == draws_of(rows_of(shuffle=False, workers=3)) == draws_of(*rows_of().partition(3))
    assert not set(draws_of(rows_of(seed=2))[0].values()) & set(expected[0].values())


def test_samples_that_are_left_out_do_not_change_the_draws_of_others(tmp_path):
    paths = [tmp_path / f"{number}.npy" for number in range(8)]
    for number, path in enumerate(paths):
        np.save(path, np.array([number])) if number != 3 else path.write_bytes(b"not an array")
    options = dict(labels=None, transform=ko.per_sample(lambda x, y, rng: (x + rng.random(), y)), seed=4, shuffle=False)
    served = ko.NpyManifestSequence(paths, batch_size=8, on_error="skip", **options)[0][:, 0].tolist()

    assert len(served) == 7
    assert served[3:] == ko.NpyManifestSequence(paths, batch_size=4, **options)[1][:, 0].tolist()


def test_keys_of_an_epoch_differ_and_no_key_follows_from_another_epoch():
    samples = np.arange(20_000)
    keys = [Draws(seed, epoch, 0, samples, str).keys() for seed, epoch in ((0, 0), (0, 1), (1, 0), (2**32 - 1, 2**40))]

    assert {array.shape for array in keys} == {(20_000, 2)}
    assert len({tuple(key) for array in keys for key in array.tolist()}) == 4 * 20_000
    for word in (0, 1):
        bits = np.unpackbits(np.concatenate(keys)[:, word].copy().view(np.uint8).reshape(-1, 8), axis=1)
        assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01


def test_one_order_of_keys_is_fixed():
    """Augmentation of a trained model can be repeated in later versions."""
    keys = Draws(seed=7, epoch=3, position=0, samples=np.array([0, 1, 10**12]), name=str).keys()

    assert keys.tolist() == [
        [11972680548064365358, 1041278344928444804],
        [16149402611306440829, 9098633040547334542],
        [5177969818814310380, 13575223079152925222],
    ]


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        (lambda x, y, rng: (x, None), [0, 1, 2], None),
        (lambda x, y, rng: (np.float32([x, x]), y), [[0, 0], [1, 1], [2, 2]], [0, 1, 2]),
        (lambda x, y, rng: ({"a": x, "b": (x, -x)}, (y, 0.5)), None, None),
    ],
)
def test_results_may_have_another_structure_shape_and_dtype(function, x, y):
    batch = rows_of(batch_size=3, shuffle=False, transform=ko.per_sample(function))[0]
    given_x, given_y = batch if isinstance(batch, tuple) else (batch, None)
    if x is None:
        assert given_x["a"].tolist() == [0, 1, 2]
        assert [part.tolist() for part in given_x["b"]] == [[0, 1, 2], [0, -1, -2]]
        assert [part.tolist() for part in given_y] == [[0, 1, 2], [0.5] * 3]
    else:
        assert given_x.tolist() == x
        assert (given_y is None and y is None) or given_y.tolist() == y


def test_samples_may_change_in_place_and_the_function_may_reuse_its_memory():
    images, buffer = np.arange(24, dtype="uint8").reshape(4, 2, 3), np.empty((2, 3), "uint8")

    def flip(x, y, rng):
        x += 1
        np.copyto(buffer, x[:, ::-1])
        return buffer, y

    (flipped,) = ko.ArraySequence(images.copy(), None, batch_size=4, shuffle=False, transform=ko.per_sample(flip))
    assert flipped.tolist() == (images + 1)[:, :, ::-1].tolist()
    views = ko.per_sample(lambda x, y, rng: (x[:, ::-1], y))
    (flipped,) = ko.ArraySequence(images.copy(), None, batch_size=4, shuffle=False, transform=views)
    assert flipped.tolist() == images[:, :, ::-1].tolist()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, y, rng: x, r"`per_sample function\(x, y, rng\)` should return a tuple \(x, y\). Received: int64"),
        (
            lambda x, y, rng: (np.zeros(1 + (x == 2)), y),
            r"x is float64 of shape \(1,\) for .*, and float64 of shape \(2,",
        ),
        (
            lambda x, y, rng: (x * (1 if x < 2 else 0.5), y),
            r"x is int64 of shape \(\) for .*, and float64 of shape",
        ),
        (lambda x, y, rng: (x, None if x == 1 else y), r"y is int64 of shape \(\) for .*, and None for "),
        (lambda x, y, rng: ({"a": x} if x else {"b": x}, y), "x is a dict of b for .*, and a dict of a for "),
        (lambda x, y, rng: (x, (y,) * (1 + x)), "y is a tuple of 1 for .*, and a tuple of 2 for "),
    ],
)
def test_results_that_do_not_fit_together_are_an_error(function, message):
    with pytest.raises(ko.OptionError, match=message):
        rows_of(batch_size=3, shuffle=False, transform=ko.per_sample(function))[0]


def test_error_of_the_function_names_the_sample():
    def fails(x, y, rng):
        raise ValueError(f"no crop of {x}")

    with pytest.raises(ValueError, match="no crop of 4") as caught:
        rows_of(batch_size=4, shuffle=False, transform=ko.per_sample(fails))[1]
    assert caught.value.__notes__ == ["Raised by the function of `per_sample` for row 4"]


def test_only_a_function_is_accepted():
    for wrong in (None, 3, noise):
        with pytest.raises(ko.OptionError, match=r"`per_sample` requires a function of one sample. Received: "):
            ko.per_sample(wrong)


def test_it_pickles_prints_calls_and_has_a_fingerprint():
    expected = draws_of(rows_of())

    assert draws_of(pickle.loads(cloudpickle.dumps(rows_of()))) == expected
    assert repr(noise) == "per_sample(noise)"
    assert noise(1, 2, np.random.default_rng(0))[0] == 1
    one, same, other = (ko.per_sample(lambda x, y, rng, shift=shift: (x + shift, y)) for shift in (1, 1, 2))
    assert described(one) == described(same) != described(other)


def test_split_profile_and_states_work_with_it(capsys):
    whole = rows_of(batch_size=4)
    train, val = whole.split(0.3)
    assert all(y.shape == (len(x), 3) for part in (train, val) for x, y in part)
    assert whole.profile(3).seconds_per_batch["transform"] > 0
    loop = iter(whole)
    given = [next(loop)[1].tolist()]
    again = rows_of(batch_size=4)
    again.load_state_dict(whole.state_dict())
    assert given + [y.tolist() for _, y in again] == [y.tolist() for _, y in rows_of(batch_size=4)]


def test_rows_of_a_table_have_the_same_draws_with_and_without_a_cache(write, tmp_path):
    write("a,b,y\n" + "".join(f"{n},{n / 2},{n}\n" for n in range(30)))

    def table(batch_size, **options):
        return ko.CSVChunkSequence(
            "houses.csv", target="y", features={"left": ["a"], "right": ["b"]}, batch_size=batch_size, seed=3,
            transform=ko.per_sample(lambda x, y, rng: ({**x, "left": x["left"] + rng.random()}, y)), **options,
        )  # fmt: skip

    def drawn(sequence):
        return {float(y): float(left[0]) for x, ys in sequence for left, y in zip(x["left"], ys)}

    expected = drawn(table(7))
    assert len(expected) == 30
    assert expected == drawn(table(30)) == drawn(table(7, shuffle=False)) == drawn(table(11, cache=tmp_path / "cache"))
