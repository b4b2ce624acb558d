"""Each option of the data that changed since the checkpoint is refused by its name, or named in one warning."""

import inspect
import json
import re
import warnings

import numpy as np
import pytest
import training_child as child
from PIL import Image
from training_child import data, small_model, validation_data

import keras_oocore as ko
from keras_oocore.core.differences import differences
from keras_oocore.core.errors import DataError, OptionError

ROWS, CLASSES = np.arange(24.0).reshape(12, 2), np.arange(12) % 3
# Arguments that do not change which batches are made, or are checked in another way
LOADING = {"workers", "max_queue_size", "use_multiprocessing", "memory_limit", "retries"}
WITHOUT_EFFECT = {"cache", "overwrite_cache", *LOADING}
OTHER_DATA = {
    "data",
    "directory",
    "labels",
    "follow_links",
    "class_names",
    "dataset",
    "masks",
}  # other files or labels, or other names


def flip(x, y, rng):
    return x[:, ::-1], y


def fade(x, y, rng):
    return x / 2, y


def verdict(before, after):
    """Return whether a training resumes, and what its error or its warning says."""
    try:
        after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    except (DataError, OptionError) as error:
        return "refused", str(error)
    return "named", "; ".join(differences(before.cursor.options, after.cursor.options))


def rows(**options):
    return ko.ArraySequence(ROWS, CLASSES, **{"label_mode": "int", "batch_size": 4, "seed": 1, **options})


ROW_OPTIONS = [
    ("batch_size", 4, 3, "refused", "batch_size was 4, is 3"),
    ("shuffle", True, False, "refused", "shuffle was True, is False"),
    ("last_batch", "keep", "drop", "refused", "last_batch was 'keep', is 'drop'"),
    ("last_batch", "keep", "pad", "refused", "last_batch was 'keep', is 'pad'"),
    ("seed", 1, 2, "refused", "seed=1, but this Sequence was made with seed=2"),
    ("validation_split", 0.25, 0.5, "refused", "num_samples was 9, is 6"),
    ("subset", "training", "validation", "refused", "num_samples was 6, is 6|rows taken was"),
    ("rescale", None, 0.5, "named", "rescale was None, is 0.5"),
    ("dtype", "float32", "float64", "named", "dtype was 'float32', is 'float64'"),
    ("transform", None, flip, "named", "transform was None, is '.*flip "),
    ("transform", flip, fade, "named", "transform was '.*flip .*, is '.*fade "),
    ("on_error", "raise", "skip", "named", "on_error was 'raise', is 'skip'"),
    ("sample_weight", None, np.ones(12), "named", "sample_weight or class_weight was None, is"),
    ("sample_weight", np.ones(12), np.arange(12), "named", "sample_weight or class_weight was '"),
    ("class_weight", None, {0: 2.0}, "named", "sample_weight or class_weight was None, is"),
    ("class_weight", {0: 2.0}, {0: 3.0}, "named", "sample_weight or class_weight was '"),
    ("sampling", None, "balanced", "refused", "sampling was None, is 'balanced'"),
    ("sampling", np.ones(12), np.arange(12), "refused", "sampling was '"),
    ("samples_per_epoch", 12, 8, "refused", "num_samples was 12, is 8"),
    ("label_mode", "int", "categorical", "named", "label_mode was 'int', is 'categorical'"),
]


@pytest.mark.parametrize(("option", "before", "after", "outcome", "words"), ROW_OPTIONS)
def test_option_of_an_array(option, before, after, outcome, words):
    others = {
        "validation_split": dict(subset="training"),
        "subset": dict(validation_split=0.5),
        "samples_per_epoch": dict(sampling="balanced"),
    }.get(option, {})
    found, said = verdict(rows(**{option: before}, **others), rows(**{option: after}, **others))

    assert found == outcome
    assert re.search(words, said), said


def test_every_shared_option_has_a_case():
    shared = set(inspect.signature(ko.ArraySequence).parameters) - OTHER_DATA - WITHOUT_EFFECT

    assert shared == {case[0] for case in ROW_OPTIONS}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    directory = tmp_path_factory.mktemp("photos")
    for number in range(4):
        path = directory / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 8), (number, 0, 0)).save(path)
    return directory


IMAGE_OPTIONS = [
    ("image_size", 4, (4, 5)),
    ("color_mode", "rgb", "grayscale"),
    ("interpolation", "bilinear", "nearest"),
    ("crop_to_aspect_ratio", False, True),
    ("pad_to_aspect_ratio", False, True),
    ("data_format", "channels_last", "channels_first"),
    ("label_mode", "int", "binary"),
    ("strict", False, True),
]
MASK_OPTIONS = [("num_classes", None, 3), ("ignore_class", None, 255)]


@pytest.mark.parametrize(("option", "before", "after"), IMAGE_OPTIONS)
def test_option_of_images_is_named(photos, option, before, after):
    def images(value):
        return ko.ImageFolderSequence(photos, **{"image_size": 4, "batch_size": 2, "seed": 0, option: value})

    found, said = verdict(images(before), images(after))

    assert found == "named"
    assert said.startswith(f"{option} was ")
    assert said.count(" was ") == 1
    own = set(inspect.signature(ko.ImageFolderSequence).parameters) - {case[0] for case in ROW_OPTIONS}
    assert own - OTHER_DATA - WITHOUT_EFFECT <= {case[0] for case in (*IMAGE_OPTIONS, *MASK_OPTIONS)}


def masks_in(folder):
    """A mask per photo."""
    paths = [folder / f"{number}.png" for number in range(4)]
    folder.mkdir()
    for path in paths:
        Image.new("L", (6, 8)).save(path)
    return paths


@pytest.mark.parametrize(("option", "before", "after"), MASK_OPTIONS)
def test_option_of_masks_is_named(photos, tmp_path, option, before, after):
    masks = masks_in(tmp_path / "masks")

    def images(value):
        options = {"masks": masks, "image_size": 4, "batch_size": 2, "seed": 0, option: value}
        return ko.ImageFolderSequence(ko.Manifest.from_directory(photos, labels=None), **options)

    assert verdict(images(before), images(after)) == ("named", f"{option} was {before}, is {after}")


def test_other_masks_are_refused(photos, tmp_path):
    masks, others = masks_in(tmp_path / "masks"), masks_in(tmp_path / "others")
    files = ko.Manifest.from_directory(photos, labels=None)
    found, said = verdict(*(ko.ImageFolderSequence(files, masks=paths, seed=0) for paths in (masks, others[::-1])))

    assert found == "refused"
    assert "masks" in said


def read_twice(path):
    return np.load(path) * 2


def test_reader_is_named(tmp_path):
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.full(3, number))
    names = [f"{number}.npy" for number in range(4)]

    def arrays(reader):
        return ko.NpyManifestSequence(names, None, directory=tmp_path, reader=reader, batch_size=2, seed=0)

    found, said = verdict(arrays(np.load), arrays(read_twice))

    assert found == "named"
    assert re.search("reader was '.*load .*, is '.*read_twice ", said)


def test_another_shape_of_the_same_files_is_named(tmp_path):
    def arrays(size):
        for number in range(4):
            np.save(tmp_path / f"{number}.npy", np.full(size, number))
        names = [f"{number}.npy" for number in range(4)]
        return ko.NpyManifestSequence(names, None, directory=tmp_path, batch_size=2, seed=0)

    before = arrays(3)

    assert verdict(before, arrays(5)) == ("named", "shape was [3], is [5]")


CSV_OPTIONS = [
    ("target", "y", "z", "target was ['y'], is ['z']"),
    ("features", ["a"], ["a", "b"], "features was ['a'], is ['a', 'b']"),
    ("features", ["a", "b"], {"one": ["a"], "two": ["b"]}, "features was ['a', 'b'], is {'one': ['a'], 'two': ['b']}"),
    ("sample_weight", None, "w", "sample_weight was None, is 'w'"),
    ("categorical", [], ["a"], "dtypes or categorical: a was 'float32', is 'string'"),
    ("dtypes", {}, {"a": "string"}, "dtypes or categorical: a was 'float32', is 'string'"),
    ("indicator", False, True, "indicator was False, is True"),
    ("null_values", ["NA"], ["-"], "null_values was ['NA'], is ['-']"),
    ("encoding", "utf-8", "latin-1", "encoding was 'utf-8', is 'latin-1'"),
    ("missing", "error", "mean", "missing was 'error', is 'mean'"),
    ("on_bad_row", "error", "skip", "on_bad_row was 'error', is 'skip'"),
]


@pytest.mark.parametrize(("option", "before", "after", "words"), CSV_OPTIONS)
def test_option_of_a_table(tmp_path, option, before, after, words):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,y,z,w\n" + "".join(f"{i},{i + 1},{i % 7},{i % 3},{i}\n" for i in range(12)))

    def table(value):
        options = {"target": "y", "features": ["a", "b"], "batch_size": 4, "seed": 0}
        return ko.CSVChunkSequence(path, **{**options, option: value})

    found, said = verdict(table(before), table(after))

    assert found == ("refused" if option in ("missing", "on_bad_row") else "named")
    assert words in said


def test_a_transform_that_refers_to_many_objects_is_described_in_bounded_time():
    class Node:
        def __init__(self):
            self.others = []

        def __call__(self, x, y, rng):
            return x, y

    nodes = [Node() for _ in range(30)]
    for node in nodes:
        node.others = nodes  # 30**8 paths of length 8

    assert verdict(rows(transform=nodes[0]), rows(transform=nodes[0])) == ("named", "")


# fit_resumable, fit_partitions and fit_phases


def warned(function, *arguments, **options):
    """Return the messages of the warnings about changed options."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments, verbose=0, **options)
    found = [warning for warning in caught if "continues with options that changed" in str(warning.message)]
    assert all(warning.filename == __file__ for warning in found)
    return [str(warning.message) for warning in found]


@pytest.mark.backend
@pytest.mark.usefixtures("fast_training")
def test_fit_resumable_names_all_changed_options_in_one_warning(tmp_path):
    def train(epochs, **options):
        x = data(**options)
        return warned(ko.fit_resumable, small_model(), x, epochs, tmp_path / "run", save_every_batches=1)

    assert train(1) == []
    assert train(2) == []
    (message,) = train(3, transform=fade, class_weight={0: 2.0})
    assert message.startswith(
        f"The training in {str(tmp_path / 'run')!r} continues with options that changed: transform"
    )
    assert re.search(r"transform was None, is '.*fade .*'; sample_weight or class_weight was None, is '.*'\. ", message)
    assert message.endswith("choose another directory.")
    assert train(4, transform=fade, class_weight={0: 2.0}) == []


@pytest.mark.one_backend
@pytest.mark.usefixtures("fast_training")
def test_options_of_validation_data_and_of_fit(tmp_path):
    def train(epochs, validation, **options):
        return warned(
            *(ko.fit_resumable, small_model(), data(), epochs, tmp_path / "run"),
            save_every_batches=1,
            validation_data=validation,
            **options,
        )

    assert train(1, validation_data()) == []
    other = ko.ArraySequence(
        child.ROWS[:6] + 0.1, child.CLASSES[:6], label_mode="int", batch_size=4, seed=5, on_error="skip"
    )
    (message,) = train(2, other, class_weight={1: 3.0})
    assert (
        "`validation_data`: on_error was 'raise', is 'skip'; `fit`: class_weight was None, is {'1': 3.0}. " in message
    )


@pytest.mark.one_backend
@pytest.mark.usefixtures("fast_training")
def test_options_of_partitions_and_of_phases(tmp_path):
    def partitions(passes, **options):
        return warned(
            *(ko.fit_partitions, small_model(), data(**options), 2, 1, passes, tmp_path / "partitions"),
            save_every_batches=1,
        )

    def phases(epochs, **options):
        second = ko.Phase(epochs, data=data(**options))
        return warned(
            *(ko.fit_phases, small_model(), [ko.Phase(1), second], data(), tmp_path / "phases"), save_every_batches=1
        )

    assert partitions(1) == phases(1) == []
    (message,) = partitions(2, transform=flip)
    assert "transform was None" in message
    (message,) = phases(2, transform=flip)
    assert ": the data of 'phase 2': transform was None, is '" in message
    assert "phase 1" not in message


@pytest.mark.one_backend
@pytest.mark.usefixtures("fast_training")
def test_checkpoint_of_an_earlier_version_has_no_options(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_oocore.training.saving.KEY", "unknown")
    ko.fit_resumable(small_model(), data(), 1, tmp_path, verbose=0, save_every_batches=1)
    monkeypatch.undo()

    assert warned(ko.fit_resumable, small_model(), data(transform=flip), 2, tmp_path) == []
