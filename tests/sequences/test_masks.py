"""ImageFolderSequence with `masks`: the mask of each image is y, in batches, caches, stores, parts and shards."""

import itertools
import os
import pickle
import re
import shutil
import warnings

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.files import FileContract, SingleFileContract
from contracts.numbered import NUM_SAMPLES
from contracts.passes import PassContract
from contracts.reading import as_bytes, assert_resumes_everywhere
from drawing import SIZE, draw, numbers_in
from executors import HostileExecutor
from mask_files import NUM_CLASSES, draw_pairs, mask_of, save_mask

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError, SampleError


class Masks:
    """Ten images with masks. The label of a sample is its mask."""

    def prepare(self, folder):
        draw_pairs(folder, range(NUM_SAMPLES))

    def open(self, folder, **options):
        options.pop("label_mode", None)
        options = {"image_size": SIZE, "masks": folder / "masks", "num_classes": NUM_CLASSES, **options}
        return ko.ImageFolderSequence(folder / "images", **options)

    def numbers(self, x):
        return numbers_in(x)

    def epoch_of(self, sequence):
        batches = []
        for x, y in sequence:
            batches.append(self.numbers(x))
            assert (y.dtype, y.shape) == (np.uint8, (len(x), *SIZE, 1))
            np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in batches[-1]])
        return batches

    def test_each_sample_once_with_its_mask(self, make):
        for _ in range(2):
            assert sorted(itertools.chain(*self.epoch_of(make()))) == list(range(NUM_SAMPLES))

    def test_a_resumed_pass_has_the_same_bytes(self, make):
        assert_resumes_everywhere(lambda **options: make(**{"transform": ko.augment(rotation=0.1), **options}))

    def test_sample_weight_follows_its_sample(self, make):
        weights = [number / 4 for number in range(10)]
        for options in ({}, dict(validation_split=0.5, subset="training")):
            for x, y, weight in make(sample_weight=weights, **options):
                assert weight.shape == (len(x), 1, 1, 1)  # Keras multiplies it with the loss of each pixel
                assert (weight * 4).ravel().tolist() == self.numbers(x)
                np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in self.numbers(x)])
        for part in make(sample_weight=weights).partition(2):
            for x, _, weight in part:
                assert (weight * 4).ravel().tolist() == self.numbers(x)

    def test_transform_receives_both(self, make):
        def add_mask(x, y, rng):
            return x + y, y

        for (x, _), (changed, y) in zip(make(), make(transform=add_mask)):
            np.testing.assert_array_equal(changed, x + y)

    def test_padded_batches_repeat_masks(self, make):
        for last_batch in ("pad", "pad_for_evaluation"):
            x, y, weight = make(last_batch=last_batch, shuffle=False)[2]
            assert self.numbers(x) == [8, 9, 8, 9]
            np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in (8, 9, 8, 9)])
            assert weight.shape == (4, 1, 1, 1)
            assert (weight.ravel() > 0).tolist() == [True, True, False, False]

    def test_repr_describes_the_batches(self, make):
        assert f"y uint8 {(4, *SIZE, 1)}" in repr(make())
        assert f"y uint8 {(2, *SIZE, 1)}" in repr(make().shard(1, 2))
        assert "sample_weight float32 (4, 1, 1, 1)" in repr(make(last_batch="pad"))

    @pytest.mark.parametrize("limit_bytes", [1000, 2000])
    def test_memory_limit_counts_images_and_masks(self, make, leases, limit_bytes):
        sequence = make(batch_size=1, memory_limit=limit_bytes, workers=2)
        for _ in range(2):
            for _ in sequence:
                inside.wait_for_batches_ahead(sequence)

        assert 1 < leases["most"] * inside.batch_bytes(sequence) <= limit_bytes

    @pytest.mark.one_backend
    def test_fit_trains_and_predict_follows_the_order_of_the_samples(self, make):
        model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Conv2D(NUM_CLASSES, 1)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(make(sample_weight=[1] * 10, rescale=1 / 255), validation_data=make(), verbose=0).history
        assert np.isfinite([history["loss"][0], history["val_loss"][0]]).all()
        same = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Rescaling(1.0)])
        assert self.numbers(same.predict(make(shuffle=False), verbose=0)) == list(range(NUM_SAMPLES))

    # A mask is neither one class per sample, nor a label that is given as an array.
    test_label_modes = None
    test_a_state_of_other_data_is_an_error_that_names_the_difference = None
    test_without_labels_batches_contain_x_alone = None
    test_labels_of_several_values_are_raw = None
    test_raw_targets_keep_their_values_and_dtype = None
    test_labels_of_another_length_are_an_error = None
    test_class_weight_gives_each_sample_the_weight_of_its_class = None
    test_invalid_options_are_errors_of_the_constructor = None
    test_split_returns_training_and_validation_in_order = None
    test_split_keeps_the_number_of_classes = None
    test_split_into_three_keeps_proportions_or_groups = None
    test_split_carries_sample_weight_and_val_transform = None
    test_attributes_of_a_partition_describe_its_samples = None
    test_weights_follow_their_samples_into_a_partition = None
    test_weights_follow_their_samples_into_a_subset = None
    test_batches_without_labels_cannot_be_padded = None
    test_labels_stay_with_their_samples = None
    test_nested_arrays_are_filled = None
    test_other_weights_are_multiplied = None
    test_on_error_skip_and_replace_list_the_bad_samples = None
    test_served_paths_know_skipped_and_replaced_files = None
    test_repr_says_which_shard_it_is = None
    test_rescale_and_dtype = None
    test_repr_has_the_weights_of_padding = None

    # Rows of several arrays are copied, so a batch needs more memory than its own: see the test above.
    test_memory_limit_bounds_the_batches_in_flight = None
    test_memory_limit_below_two_batches_is_an_error_that_names_the_minimum = None


class TestMasks(Masks, FileContract):
    """Read from their files."""


class TestCachedMasks(Masks, SingleFileContract, PassContract):
    """Read through a cache that is being filled. Each Sequence has its own cache."""

    caches = itertools.count()

    def open(self, folder, **options):
        return super().open(folder, **{"cache": folder.parent / f"cache {next(self.caches)}", **options})


@pytest.fixture
def folder(tmp_path):
    draw_pairs(tmp_path, range(NUM_SAMPLES))
    return tmp_path


def masked(folder, **options):
    options = {"image_size": SIZE, "batch_size": 4, "seed": 7, "shuffle": False, **options}
    return ko.ImageFolderSequence(folder / "images", masks=folder / "masks", **options)


# Which masks


def test_images_without_class_folders_and_manifests_of_some_of_them(folder):
    train, val = ko.Manifest.from_directory(folder / "images", labels=None).split(validation_split=0.3, seed=0)
    for part in (train, val):
        sequence = ko.ImageFolderSequence(part, masks=folder / "masks", image_size=SIZE, shuffle=False)
        ((x, y),) = sequence
        np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in numbers_in(x)])
    names = [folder / "masks" / f"{name[:-4]}.png" for name in train.filenames.tolist()]
    listed = ko.ImageFolderSequence(train, masks=names, image_size=SIZE, batch_size=7, shuffle=False)
    whole = ko.ImageFolderSequence(train, masks=folder / "masks", image_size=SIZE, batch_size=7, shuffle=False)
    assert as_bytes(listed) == as_bytes(whole)


def test_a_manifest_keeps_its_weights_and_loses_its_labels(folder):
    files = ko.Manifest.from_arrays([f"{i}.png" for i in range(10)], [*"aabbaabbab"], folder / "images")
    weighted = files.with_columns(sample_weight=np.arange(10))
    sequence = ko.ImageFolderSequence(weighted, masks=folder / "masks", image_size=SIZE, batch_size=10, shuffle=False)
    _, y, weight = sequence[0]

    assert y.shape == (10, *SIZE, 1)
    assert weight.ravel().tolist() == [*range(10)]
    assert sequence.labels is sequence.class_names is None


def test_class_folders_are_only_folders(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        draw(tmp_path / "images" / name / "1.jpg", number)
        save_mask(tmp_path / "masks" / name / "1.png", mask_of(number))
    _, y = masked(tmp_path)[0]

    np.testing.assert_array_equal(y[..., 0], [mask_of(0), mask_of(1)])


def test_a_missing_mask_is_an_error_of_the_constructor(folder):
    (folder / "masks" / "3.png").unlink()
    (folder / "masks" / "7.png").unlink()

    with pytest.raises(DataError, match=r"2 of 10 images have no mask in .*: '3.png', '7.png'"):
        masked(folder)
    clean = ko.Manifest.from_directory(folder / "images", labels=None).without(["3.png", "7.png"])
    assert ko.ImageFolderSequence(clean, masks=folder / "masks", image_size=SIZE).num_samples == 8


# Values


def test_geometry_of_masks_is_that_of_images(tmp_path):
    """A dark rectangle in a photo, which the mask has, too, with all ways to reach the size."""
    pixels = np.full((57, 93, 3), 250, "uint8")
    pixels[10:40, 20:70] = 10
    (tmp_path / "images").mkdir()
    keras.utils.save_img(tmp_path / "images" / "1.png", pixels, scale=False)
    save_mask(tmp_path / "masks" / "1.png", pixels[..., 0] < 100)
    for options in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
        x, y = masked(tmp_path, image_size=(31, 29), **options)[0]
        dark, light = (x[..., :1] > 0) & (x[..., :1] < 60), x[..., :1] > 200
        assert 0.1 < y.mean() < 0.6
        assert (y[dark] == 1).all()
        assert (y[light] == 0).all()


def test_rescale_dtype_and_channels_first_are_for_images_alone(folder):
    plain = masked(folder)[0][1]
    for options in (dict(rescale=1 / 255), dict(dtype="float32"), dict(data_format="channels_first")):
        x, y = masked(folder, **options)[0]
        assert x.shape[1:] == ((3, *SIZE) if "data_format" in options else (*SIZE, 3))
        np.testing.assert_array_equal(y, plain)
        assert y.dtype == np.uint8


def test_values_are_checked_and_named(folder):
    save_mask(folder / "masks" / "5.png", np.full(SIZE, 33))
    path = re.escape(repr(str(folder / "masks" / "5.png")))

    assert masked(folder)[1][1][1].min() == 33
    for options in (dict(num_classes=NUM_CLASSES), dict(class_names=[f"class {i}" for i in range(NUM_CLASSES)])):
        with pytest.raises(
            SampleError,
            match=rf"sample 5, .*: its mask {path}: value 33 \(the first in row 0, column 0\), but num_classes=20 "
            r".*Fix the mask, or remove it and its image, or pass on_error=",
        ):
            masked(folder, **options)[1]
    skipping = masked(folder, num_classes=NUM_CLASSES, on_error="skip")
    with pytest.warns(UserWarning, match="served_paths"):
        served = [number for x, _ in skipping for number in numbers_in(x)]
    assert served == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    ((name, reason),) = skipping.bad_samples
    assert name == str(folder / "images" / "5.png")
    assert reason.startswith(f"its mask {str(folder / 'masks' / '5.png')!r}: value 33")
    replacing = masked(folder, num_classes=NUM_CLASSES, on_error="replace")
    for x, y in replacing:
        np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in numbers_in(x)])
    assert masked(folder, num_classes=NUM_CLASSES, ignore_class=33)[1][1][1].max() == 33


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "truncated"),
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.unlink(), "file not found.*The file may be intact"),
        (lambda path: keras.utils.save_img(path, np.full((*SIZE, 3), 3), scale=False), "Its channels are equal"),
        (lambda path: save_mask(path, np.zeros((9, 2))), "2x9 pixels, and the image has 5x4"),
    ],
)
def test_a_mask_that_cannot_be_read_is_named(folder, damage, message):
    sequence = masked(folder)
    path = folder / "masks" / "5.png"
    damage(path)

    with pytest.raises(SampleError, match=rf"sample 5, .*: its mask {re.escape(repr(str(path)))}: .*{message}"):
        sequence[1]


# Caches, stores, and what reads them


def test_a_changed_mask_is_noticed_and_never_served_stale(folder):
    cache = folder / "cache"
    list(masked(folder, cache=cache))
    sequence = masked(folder, cache=cache)
    expected = as_bytes(sequence)
    save_mask(folder / "masks" / "5.png", mask_of(6))
    os.utime(folder / "masks" / "5.png", ns=(1, 1))

    with pytest.raises(SampleError, match=r"sample 5, .*its file changed after it was stored"):
        sequence[1]
    with pytest.raises(DataError, match=r"1 of 10 files changed after they were stored in .*5.png"):
        masked(folder, cache=cache)[0]
    again = as_bytes(masked(folder, cache=cache, overwrite_cache=True))
    assert [batch == old for batch, old in zip(again, expected)] == [True, False, True]


def test_a_mask_that_was_fixed_is_read_again(folder):
    path, options = (
        folder / "masks" / "5.png",
        dict(cache=folder / "cache", on_error="replace", num_classes=NUM_CLASSES),
    )
    content = path.read_bytes()
    save_mask(path, np.full(SIZE, 99))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len([*masked(folder, **options)]) == 3
        again = masked(folder, **options)
        list(again)
    assert len(again.bad_samples) == 1
    again.close()
    path.write_bytes(content)
    fixed = masked(folder, **options)
    for x, y in fixed:
        np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in numbers_in(x)])
    assert fixed.bad_samples == []
    assert sorted(number for x, _ in fixed for number in numbers_in(x)) == [*range(10)]


def test_a_cache_of_other_masks_or_classes_is_refused(folder):
    cache = folder / "cache"
    list(masked(folder, cache=cache))
    shutil.copytree(folder / "masks", folder / "others")
    for path in [*(folder / "others").iterdir()]:
        path.rename(path.with_suffix(".bmp"))

    with pytest.raises(DataError, match="masks"):
        ko.ImageFolderSequence(folder / "images", masks=folder / "others", image_size=SIZE, cache=cache)
    with pytest.raises(DataError, match="num_classes"):
        masked(folder, cache=cache, num_classes=NUM_CLASSES)
    with pytest.raises(DataError):
        ko.ImageFolderSequence(folder / "images", labels=None, image_size=SIZE, cache=cache)


def test_a_packed_store_needs_no_files(folder):
    names = [f"class {number}" for number in range(NUM_CLASSES)]
    files = masked(folder, class_names=names, shuffle=True)
    expected = as_bytes(files)
    store = files.pack(folder / "packed")
    assert {"x.npy", "y.npy"} <= {path.name for path in store.iterdir()}
    shutil.rmtree(folder / "images")
    shutil.rmtree(folder / "masks")
    packed = ko.open_packed(store, batch_size=4, seed=7)

    assert as_bytes(packed) == expected
    assert packed.class_names == names
    packed.verify()
    assert as_bytes(ko.open_packed(store, batch_size=4, seed=7, transform=ko.augment(flip="horizontal"))) != expected


def test_pack_with_an_executor_writes_the_same_bytes(folder):
    store = masked(folder).pack(folder / "packed")
    with HostileExecutor(ways=("run", "repeat")) as executor:
        by_executor = masked(folder).pack(folder / "by executor", executor=executor)
    for name in ("x.npy", "y.npy"):
        assert (store / name).read_bytes() == (by_executor / name).read_bytes()


def test_split_subset_and_folds_keep_masks_with_their_images(folder):
    whole = masked(folder, transform=ko.augment(brightness=0.1), batch_size=2)
    parts = [*whole.split(validation_split=0.3, seed=0, val_transform=ko.augment())]
    parts += [masked(folder, validation_split=0.3, subset=subset) for subset in ("training", "validation")]
    for part in itertools.chain(parts[1:], *masked(folder, batch_size=2).folds(3)):
        for x, y in part:
            np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in numbers_in(x)])
    assert [part.num_samples for part in parts] == [7, 3, 7, 3]


def test_weighted_sampling_draws_masks_with_their_images(folder):
    sequence = masked(folder, shuffle=True, sampling=[1, 0, 0, 5, 0, 0, 0, 0, 0, 4], samples_per_epoch=20)
    drawn = []
    for x, y in sequence:
        drawn += numbers_in(x)
        np.testing.assert_array_equal(y[..., 0], [mask_of(number) for number in numbers_in(x)])
    assert np.bincount(drawn).tolist() == [2, 0, 0, 10, 0, 0, 0, 0, 0, 8]


def test_show_batch_draws_masks_with_the_names_of_classes(folder):
    names = [f"kind {number}" for number in range(NUM_CLASSES)]
    for options in ({}, dict(data_format="channels_first")):
        sequence = masked(folder, class_names=names, batch_size=2, **options)
        figure = sequence.show_batch(predictions=np.eye(NUM_CLASSES)[sequence[0][1][..., 0]])
        legend = [text.get_text() for one in [*figure.legends, *figure.axes] for text in getattr(one, "texts", ())]
        assert {"kind 1", "kind 18", "kind 19"} <= {*legend}


@pytest.mark.parametrize("with_executor", [False, True])
def test_check_names_bad_images_and_bad_masks(folder, with_executor):
    sequence = masked(folder, num_classes=NUM_CLASSES)
    (folder / "images" / "3.png").write_bytes(b"not an image")
    (folder / "masks" / "5.png").write_bytes(b"not an image")
    save_mask(folder / "masks" / "8.png", np.full(SIZE, 99))
    with HostileExecutor(ways=("run",)) as executor:
        report = ko.check(sequence, executor=executor if with_executor else None)

    assert [*report.bad] == ["3.png", "5.png", "8.png"]
    assert report.bad["5.png"].startswith(f"its mask {str(folder / 'masks' / '5.png')!r}: not an image")
    assert "value 99" in report.bad["8.png"]
    part = ko.check(sequence.partition(2)[0]).bad
    assert {*part} <= {*report.bad}
    assert {*part} | {*ko.check(sequence.partition(2)[1]).bad} == {*report.bad}


@pytest.mark.one_backend
def test_predict_and_normalization_use_the_images(folder):
    sequence = masked(folder)
    model = keras.Sequential(
        [keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    table = ko.predict(model, sequence)

    assert table["file"].tolist() == [f"{number}.png" for number in range(10)]
    layer = sequence.normalization()
    np.testing.assert_allclose(np.ravel(layer.input_mean), [45.0] * 3, rtol=1e-5)


def test_profile_and_pickling(folder):
    sequence = masked(folder, transform=ko.augment(flip="horizontal"), workers=2)
    assert sequence.profile(num_batches=2).num_batches >= 2
    assert as_bytes(pickle.loads(pickle.dumps(sequence))) == as_bytes(sequence)


@pytest.mark.one_backend
def test_fit_of_a_convolution_learns_the_masks(tmp_path):
    """The class of a pixel is whether it is light, so one convolution suffices."""
    rng = np.random.default_rng(0)
    for number in range(16):
        light = np.kron(rng.integers(0, 2, (4, 4)), np.ones((2, 2), int)).astype("uint8")
        save_mask(tmp_path / "masks" / f"{number}.png", light)
        save_mask(tmp_path / "images" / f"{number}.png", 50 + 150 * light)
    options = dict(image_size=(8, 8), batch_size=8, num_classes=2, validation_split=0.5, seed=0)
    train = masked(tmp_path, subset="training", shuffle=True, last_batch="pad", **options)
    val = masked(tmp_path, subset="validation", last_batch="pad_for_evaluation", **options)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255, -0.5), keras.layers.Conv2D(2, 1)])
    model.compile(keras.optimizers.Adam(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(train, validation_data=val, epochs=25, verbose=0).history["loss"]
    x, y = val[0][:2]

    assert losses[-1] < 0.5 * losses[0]
    assert (np.asarray(model.predict_on_batch(x)).argmax(axis=-1) == y[..., 0]).mean() > 0.95


# Arguments that have no meaning for masks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(labels=[0] * 10), r"`masks` are the labels.*Leave out `labels`.* Received: labels=\[0, 0"),
        (dict(label_mode="categorical"), r"`label_mode` has no meaning.*np.eye.*Received: label_mode='categorical'"),
        (dict(label_mode="raw"), "`label_mode` has no meaning"),
        (dict(label_mode=None), "`label_mode` has no meaning.*Received: label_mode=None"),
        (dict(class_weight="balanced"), "a mask has a class per pixel. Use `sample_weight`.*class_weight='balanced'"),
        (dict(class_weight={0: 1.0}), "a mask has a class per pixel"),
        (dict(sampling="balanced"), "no class that could be balanced.*sampling=weights. Received: sampling='balanced'"),
        (dict(num_classes=0), "`num_classes` should be a positive integer"),
        (dict(num_classes=3, class_names=["a", "b"]), "one name per class. Received: 2 names and num_classes=3"),
        (dict(class_names=["a", "a"]), "each class once"),
        (dict(masks=None, num_classes=3), "`num_classes` requires masks.*Received: masks=None, num_classes=3"),
        (dict(masks=None, ignore_class=3), "`ignore_class` requires masks"),
        (dict(masks=["1.png"]), "a directory of images has none"),
        (dict(sample_weight=[1] * 9), r"should have shape \(10,\), one weight per sample"),
        (dict(on_error="skip", last_batch="pad_for_evaluation"), "their number must be known"),
    ],
)
def test_invalid_options_are_errors_of_the_constructor(folder, options, message):
    with pytest.raises(OptionError, match=message):
        ko.ImageFolderSequence(folder / "images", **{"masks": folder / "masks", "image_size": SIZE, **options})
