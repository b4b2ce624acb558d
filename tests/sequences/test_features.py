"""Numbers from a table beside each file: `feature_cols` of `Manifest.from_csv`."""

import keras
import numpy as np
import pytest
from contracts.files import FileContract
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.passes import PassContract
from contracts.reading import add_noise, as_bytes, saved
from contracts.served import ServedContract
from drawing import draw

import keras_oocore as ko
from keras_oocore import cli
from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences import ImageFolderSequence, NpyManifestSequence, open_packed


def write_table(folder, suffix):
    """A table of ten files. The features of file i are i and i / 4."""
    rows = [f"{i}{suffix},{CLASS_NAMES[LABELS[i]]},{i},{i / 4}" for i in range(NUM_SAMPLES)]
    (folder / "table.csv").write_text("\n".join(["filename,class,age,height", *rows]) + "\n")


def manifest_of(folder):
    return Manifest.from_csv(folder / "table.csv", feature_cols=["age", "height"])


def numbers_of(x):
    """The numbers of the samples, which both features tell."""
    numbers = x["features"][:, 0].astype(int).tolist()
    assert x["features"].dtype == np.float32
    assert (x["features"][:, 1] * 4).tolist() == numbers
    return numbers


class TestImages(FileContract):
    """Ten images, each with two numbers. What the contract says of one array is tested below for two."""

    test_a_transform_that_changes_the_number_of_rows_is_an_error = None
    test_attributes_of_a_partition_describe_its_samples = None
    test_draws_per_sample_are_those_of_one_process_and_draws_per_batch_differ = None
    test_fit_trains_and_predict_follows_the_order_of_the_samples = None
    test_joined_padded_shards_are_the_batches_of_one_process = None
    test_other_weights_are_multiplied = None
    test_padded_batches_are_those_of_keep_and_their_rows_again = None
    test_partitions_have_every_sample_once = None
    test_rescale_and_dtype = None
    test_rows_that_a_user_keeps_do_not_change = None
    test_split_returns_training_and_validation_in_order = None
    test_the_last_batch_is_shorter_or_dropped = None

    def prepare(self, folder):
        for number in range(NUM_SAMPLES):
            draw(folder / f"{number}.png", number)
        write_table(folder, ".png")

    def open(self, folder, **options):
        return ImageFolderSequence(manifest_of(folder), image_size=(8, 8), **options)

    def numbers(self, x):
        numbers = numbers_of(x)
        assert (x["image"][:, 0, 0, 0] // 10).tolist() == numbers
        return numbers

    def test_rescale_changes_the_images_and_not_the_features(self, make):
        x, _ = make(rescale=1 / 255, shuffle=False)[1]

        np.testing.assert_allclose(x["image"][:, 0, 0, 0] * 255, [40, 50, 60, 70], rtol=1e-6)
        assert x["features"].tolist() == [[4, 1], [5, 1.25], [6, 1.5], [7, 1.75]]

    @pytest.mark.parametrize("last_batch", ["keep", "drop"])
    def test_the_last_batch_has_as_many_features_as_images(self, make, last_batch):
        sizes = [(len(x["image"]), len(x["features"])) for x, _ in make(last_batch=last_batch)]
        assert sizes == [(4, 4), (4, 4), (2, 2)][: 3 if last_batch == "keep" else 2]

    @pytest.mark.parametrize("num_shards", [1, 2, 4])
    @pytest.mark.parametrize("last_batch", ["pad", "pad_for_evaluation"])
    def test_a_padded_batch_repeats_both_inputs_and_shards_join_to_it(self, make, num_shards, last_batch):
        whole = make(last_batch=last_batch)
        batches = [(self.numbers(x), weight.tolist()) for x, _, weight in whole]
        parts = [list(make(last_batch=last_batch).shard(index, num_shards)) for index in range(num_shards)]

        assert sorted({number for numbers, _ in batches for number in numbers}) == list(range(NUM_SAMPLES))
        assert batches[2][0][:2] == batches[2][0][2:]
        assert [weight > 0 for weight in batches[2][1]] == [True, True, False, False]
        for (numbers, weights), shares in zip(batches, zip(*parts), strict=True):
            assert [number for x, _, _ in shares for number in self.numbers(x)] == numbers
            assert [weight for _, _, share in shares for weight in share.tolist()] == weights

    def test_partitions_and_folds_have_every_sample_once(self, make):
        for parts in (make().partition(2), [val for _, val in make().folds(5)]):
            given = [number for part in parts for x, _ in part for number in self.numbers(x)]
            assert sorted(given) == list(range(NUM_SAMPLES))

    def test_split_keeps_features_with_their_files(self, make):
        train, val = make().split(validation_split=0.3)

        given = [[number for x, _ in part for number in self.numbers(x)] for part in (train, val)]
        assert sorted([*given[0], *given[1]]) == list(range(NUM_SAMPLES))
        assert [len(numbers) for numbers in given] == [7, 3]

    def test_the_state_belongs_to_the_features(self, make, tmp_path):
        state = saved(make())
        table = (tmp_path / "data" / "table.csv").read_text()
        (tmp_path / "data" / "table.csv").write_text(table.replace("9,2.25", "9,2.5"))

        with pytest.raises(DataError, match="features"):
            make().load_state_dict(state)

    @pytest.mark.parametrize("workers", [0, 3])
    def test_augment_changes_images_as_it_does_without_features(self, make, tmp_path, workers):
        augment = [ko.augment(rotation=0.2, brightness=0.3), ko.augment(noise=0.1)]
        plain = ImageFolderSequence(
            manifest_of(tmp_path / "data").filenames,
            LABELS,
            directory=tmp_path / "data",
            image_size=(8, 8),
            batch_size=4,
            seed=7,
            transform=augment,
        )

        for (x, y), (images, labels) in zip(make(transform=augment, workers=workers), plain, strict=True):
            np.testing.assert_array_equal(x["image"], images)
            assert y.tolist() == labels.tolist()
            numbers_of(x)

    def test_mixing_images_with_features_is_an_error(self, make):
        with pytest.raises(OptionError, match=r"`mixup` and `cutmix` mix images .* inputs 'image', 'features'"):
            make(transform=ko.augment(mixup=0.2))[0]

    def test_a_function_receives_the_dictionary(self, make):
        def double(x, y, rng):
            return {"image": x["image"], "features": x["features"] * 2}, y

        for transform in (double, ko.per_sample(double)):
            x, _ = make(transform=transform, shuffle=False)[0]
            assert x["features"][:, 0].tolist() == [0, 2, 4, 6]

    def test_draws_per_sample_are_those_of_one_process(self, make):
        noisy = dict(dtype="float32", transform=ko.per_sample(add_noise))
        whole, parts = make(**noisy), [make(**noisy).shard(index, 2) for index in range(2)]

        for (x, _), shares in zip(whole, zip(*parts), strict=True):
            for name in ("image", "features"):
                np.testing.assert_array_equal(x[name], np.concatenate([share[name] for share, _ in shares]))

    def test_a_cache_and_a_packed_store_have_the_features(self, make, tmp_path):
        files, cached = make(), make(cache=tmp_path / "cache")
        expected = as_bytes(files) + as_bytes(files)
        assert as_bytes(cached) + as_bytes(cached) == expected
        cached.pack(tmp_path / "cache")
        packed = open_packed(files.pack(tmp_path / "packed"), batch_size=4, seed=7)

        assert np.load(tmp_path / "packed" / "features.npy").tolist() == files.manifest.features.tolist()
        assert packed.manifest.feature_cols == ["age", "height"]
        assert as_bytes(packed) + as_bytes(packed) == expected
        assert as_bytes(open_packed(tmp_path / "cache", batch_size=4, seed=7)) == expected[:3]

    def test_features_can_be_added_to_a_store_of_images(self, make, tmp_path):
        manifest = manifest_of(tmp_path / "data")
        without = Manifest(manifest.filenames, manifest.labels, manifest.class_names, manifest.directory)
        options = dict(image_size=(8, 8), batch_size=4, seed=7)
        store = ImageFolderSequence(without, **options).pack(tmp_path / "packed")
        assert open_packed(store, batch_size=4)[0][0].shape == (4, 8, 8, 3)

        ImageFolderSequence(manifest, **options).pack(store)
        assert as_bytes(open_packed(store, batch_size=4, seed=7)) == as_bytes(make())

    def test_repr_and_pictures_have_both_inputs(self, make):
        sequence = make()

        assert "image uint8 (4, 8, 8, 3), features float32 (4, 2), y int32 (4,)" in repr(sequence)
        figure = sequence.show_batch(0)
        captions = [axis.get_title() for axis in figure.axes]
        assert len(captions) == 4
        for caption, number in zip(captions, numbers_of(sequence[0][0])):
            assert f"features: {number}, {number / 4:.4g}" in caption
        assert list(sequence.normalization()) == ["image", "features"]
        assert sequence.profile(3).num_batches == 3

    @pytest.mark.one_backend  # test_several_arrays.py trains such a model on every backend
    def test_a_model_of_two_inputs_trains_and_predicts(self, make, tmp_path):
        image, features = keras.Input((8, 8, 3), name="image"), keras.Input((2,), name="features")
        x = keras.layers.Concatenate()([keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)), features])
        model = keras.Model({"image": image, "features": features}, keras.layers.Dense(3, activation="softmax")(x))
        model.compile("sgd", "sparse_categorical_crossentropy")

        history = model.fit(
            make(transform=ko.augment(flip="horizontal"), class_weight="balanced"),
            validation_data=make(shuffle=False),
            epochs=2,
            verbose=0,
        )
        assert np.isfinite([*history.history["loss"], *history.history["val_loss"]]).all()

        same = keras.Model({"image": image, "features": features}, keras.layers.Rescaling(1.0)(features))
        assert same.predict(make(shuffle=False), verbose=0)[:, 0].astype(int).tolist() == list(range(NUM_SAMPLES))
        self.damage(tmp_path / "data" / "5.png")
        assert [bool(error) for error in ko.predict(model, make(on_error="skip"))["error"]] == [
            number == 5 for number in range(NUM_SAMPLES)
        ]

    @pytest.mark.backend
    def test_layers_of_keras_change_the_image(self, make):
        x, _ = make(transform=keras.layers.RandomBrightness(0.3, seed=1))[0]

        assert x["image"].shape == (4, 8, 8, 3)
        numbers_of(x)


class TestArrays(PassContract, ServedContract):
    """Ten `.npy` files, each with two numbers."""

    test_the_last_batch_is_shorter_or_dropped = None  # see the images

    def prepare(self, folder):
        for number in range(NUM_SAMPLES):
            np.save(folder / f"{number}.npy", np.full((2, 3), number, "float32"))
        write_table(folder, ".npy")

    def open(self, folder, **options):
        return NpyManifestSequence(manifest_of(folder), **options)

    def numbers(self, x):
        numbers = numbers_of(x)
        assert x["array"][:, 0, 0].astype(int).tolist() == numbers
        return numbers

    def test_a_packed_store_has_the_names_of_the_files(self, make, tmp_path):
        packed = open_packed(make().pack(tmp_path / "packed"), batch_size=4, seed=7, label_mode="int")
        assert as_bytes(packed) == as_bytes(make())
        assert list(packed[0][0]) == ["array", "features"]

    def test_features_join_the_inputs_that_a_reader_names(self, make, tmp_path):
        make()
        manifest = manifest_of(tmp_path / "data")
        sequence = NpyManifestSequence(manifest, reader=TwoArrays("x_left", "x_right"), batch_size=4, shuffle=False)
        packed = open_packed(sequence.pack(tmp_path / "packed"), batch_size=4, shuffle=False)

        for x, _ in (sequence[1], packed[1]):
            assert list(x) == ["left", "right", "features"]
            assert x["right"][:, 0, 0].tolist() == (x["features"][:, 0] * 2).tolist() == [8, 10, 12, 14]
        with pytest.raises(OptionError, match=r"`reader` should return the inputs as a dictionary.*tuple of 2 arrays"):
            NpyManifestSequence(manifest, reader=TwoArrays("x0", "x1"))
        with pytest.raises(OptionError, match="returns an array that is called 'features', too"):
            NpyManifestSequence(manifest, reader=TwoArrays("x_left", "x_features"))


class TwoArrays:
    """A reader that returns what a file contains, and twice of it."""

    shape = ()

    def __init__(self, first, second):
        self.dtype = np.dtype([(first, "f4", (2, 3)), (second, "f4", (2, 3))])

    def read_into(self, path, out):
        first, second = self.dtype.names
        out[first] = np.load(path)
        out[second] = 2 * np.load(path)


# The manifest


@pytest.fixture
def manifest(tmp_path):
    write_table(tmp_path, ".png")
    return manifest_of(tmp_path)


def ages(manifest):
    """The numbers of the samples, which filenames and features tell."""
    numbers = [int(name.split(".")[0]) for name in manifest.filenames]
    assert manifest.features[:, 0].tolist() == numbers
    assert manifest.features.shape == (len(manifest), 2)
    assert manifest.feature_cols == ["age", "height"]
    return numbers


def test_features_stay_with_their_files(manifest, tmp_path):
    assert ages(manifest) == list(range(10))
    assert ages(manifest.take([7, 2])) == [7, 2]
    assert ages(manifest.take(np.array([], int))) == []
    assert sorted(ages(manifest.shuffle(seed=1))) == list(range(10))
    assert ages(manifest.without(["3.png"])) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    train, val = manifest.split(validation_split=0.3, seed=0)
    assert sorted(ages(train) + ages(val)) == list(range(10))
    assert all(sorted(ages(train) + ages(val)) == list(range(10)) for train, val in manifest.folds(2, seed=0))
    assert ages(manifest.take([1, 2]) + manifest.take([0])) == [1, 2, 0]
    assert ages(manifest.with_columns(patient=list("abcdefghij"))) == list(range(10))
    manifest.take([5, 1]).save(tmp_path / "saved")
    assert ages(Manifest.load(tmp_path / "saved")) == [5, 1]
    assert "features: age, height" in manifest.summary()
    assert "height" in manifest._repr_html_()


def test_a_manifest_without_features_replaces_one_with_them(manifest, tmp_path):
    manifest.save(tmp_path / "saved")
    without = Manifest(manifest.filenames, manifest.labels, manifest.class_names, manifest.directory)
    without.save(tmp_path / "saved")

    assert Manifest.load(tmp_path / "saved").features is None
    assert not (tmp_path / "saved" / "features.npy").exists()
    manifest.save(tmp_path / "saved")
    assert ages(Manifest.load(tmp_path / "saved")) == list(range(10))


def test_a_file_of_the_user_stays(manifest, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    np.save(folder / "features.npy", np.arange(3))

    with pytest.raises(DestinationError, match=r"features\.npy' does not belong to a manifest"):
        manifest.save(folder)
    Manifest(manifest.filenames).save(folder)
    assert np.load(folder / "features.npy").tolist() == [0, 1, 2]
    assert Manifest.load(folder).features is None


@pytest.mark.parametrize("change", ["other values", "missing", "truncated"])
def test_changed_features_are_detected(manifest, tmp_path, change):
    path = manifest.save(tmp_path / "saved") / "features.npy"
    if change == "missing":
        path.unlink()
    elif change == "truncated":
        path.write_bytes(path.read_bytes()[:-4])
    else:
        np.save(path, np.load(path) + 1)

    with pytest.raises(DataError, match=r"features\.npy"):
        Manifest.load(tmp_path / "saved")


def test_manifests_with_other_features_cannot_be_joined(manifest):
    other = Manifest(np.array(["x.png"]), np.array([1], "int32"), manifest.class_names, manifest.directory)

    with pytest.raises(DataError, match=r"the same features in the same order\. Received: 'age', 'height' and no feat"):
        manifest + other


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", r"row 1 \(line 3\), column 'age' .*: the value is missing.*frame\['age'\].fillna"),
        ("old", r"row 1 \(line 3\), column 'age' .*: cannot read 'old' as a number.*get_dummies.*'age'"),
        ("nan", r"row 1 \(line 3\), column 'age' .*: cannot read 'nan' as a number"),
        ("inf", r"row 1 \(line 3\), column 'age' .*: features should be finite"),
        ("1e39", r"row 1 \(line 3\), column 'age' .*: features should be finite numbers that float32 can hold"),
        ("1_000", r"row 1 \(line 3\), column 'age' .*: cannot read '1_000' as a number"),
    ],
)
def test_a_cell_that_is_no_number_is_named(tmp_path, cell, words):
    (tmp_path / "größen.csv").write_text(f"filename,class,age\na.png,cat,1\nb.png,dog,{cell}\n")

    with pytest.raises(DataError, match="größen.csv: " + words):
        Manifest.from_csv(tmp_path / "größen.csv", feature_cols="age")


@pytest.mark.parametrize(
    ("feature_cols", "error", "words"),
    [
        (["agee"], DataError, r"no column 'agee' \(`feature_cols`\). Did you mean 'age'"),
        ([], OptionError, "at least one column. Received: \\[\\]"),
        (["age", "age"], OptionError, "once. Received 'age' more than once"),
    ],
)
def test_columns_of_features_that_are_not_there(tmp_path, feature_cols, error, words):
    write_table(tmp_path, ".png")
    with pytest.raises(error, match=words):
        Manifest.from_csv(tmp_path / "table.csv", feature_cols=feature_cols)


class Frame:
    """What is used of a DataFrame."""

    def __init__(self, **columns):
        self.columns, self._values = list(columns), columns

    def __getitem__(self, name):
        values = np.asarray(self._values[name])
        return type("Series", (), {"to_numpy": lambda self: values})()


def test_features_of_a_dataframe():
    frame = Frame(filename=["a.png", "b.png"], wet=[True, False], age=np.array([3, 4]), share=[0.5, np.nan])

    manifest = Manifest.from_csv(frame, y_col=None, feature_cols=["age", "wet"])
    assert manifest.features.tolist() == [[3, 1], [4, 0]]
    assert manifest.labels is None
    with pytest.raises(DataError, match="row 1, column 'share': the value is missing"):
        Manifest.from_csv(frame, y_col=None, feature_cols=["share"])


@pytest.mark.parametrize(
    ("features", "names", "words"),
    [
        (np.zeros(2), None, r"shape \(2, number of features\).*Received: an array of shape \(2,\)"),
        (np.zeros((3, 1)), None, r"Received: an array of shape \(3, 1\)"),
        ([["a"], ["b"]], None, "dtype <U1"),
        (np.zeros((2, 2)), ["age"], "one name per feature, 2 names. Received: \\['age'\\]"),
        ([[1], [np.nan]], ["age"], "Received: nan for sample 1, feature 'age'"),
    ],
)
def test_features_that_do_not_fit_are_an_error(features, names, words):
    with pytest.raises(DataError, match=words):
        Manifest(np.array(["a.png", "b.png"]), features=features, feature_cols=names)


def test_one_sample_and_labels_none(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3, "float32"))
    (tmp_path / "one.csv").write_text("filename,age\na.npy,5\n")
    manifest = Manifest.from_csv(tmp_path / "one.csv", y_col=None, feature_cols="age")

    (x,) = list(NpyManifestSequence(manifest))
    assert x["array"].tolist() == [[1, 1, 1]]
    assert x["features"].tolist() == [[5]]


# The terminal


@pytest.mark.one_backend
@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_the_code_that_info_prints_trains_a_model_of_two_inputs(suffix, in_tmp_path, capsys):
    test = TestImages() if suffix == "png" else TestArrays()
    test.prepare(in_tmp_path)
    manifest_of(in_tmp_path).save("saved")
    test.open(in_tmp_path).pack("packed")
    for path in ("saved", "packed"):
        capsys.readouterr()
        assert cli.main(["info", path]) == 0
        printed = capsys.readouterr().out
        assert path == "packed" or "features: age, height" in printed
        names = {}
        exec(printed.split("type in Python:")[-1].replace("epochs=10", "epochs=1, verbose=0"), names)
        assert names["model"].predict(names["val"], verbose=0).shape == (2, 3)
