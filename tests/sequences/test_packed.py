"""open_packed: a Sequence of the rows of a packed store, without the original files."""

import re
import shutil

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.sampling import SamplingContract
from contracts.sequences import SequenceContract
from drawing import SIZE, draw, numbers_in

import keras_oocore as ko
from keras_oocore.core.errors import DataError, SampleError


class TestPackedImages(SequenceContract, SamplingContract):
    """Ten packed images. Their files are deleted."""

    def prepare(self, folder):
        for number, label in enumerate(LABELS):
            draw(folder / "photos" / CLASS_NAMES[label] / f"{number}.png", number)
        ko.ImageFolderSequence(folder / "photos", image_size=SIZE).pack(folder / "packed")
        shutil.rmtree(folder / "photos")

    def open(self, folder, labels=LABELS, **options):
        if labels is not LABELS:  # the contract passes other labels: store them with the rows
            kept = ko.Manifest.load(folder / "packed")
            labels = None if labels is None else np.asarray(labels)
            ko.Manifest(kept.filenames, labels).save(folder / "packed")
        return ko.open_packed(folder / "packed", **options)

    def numbers(self, x):
        return numbers_in(x)


def test_batches_equal_those_of_the_files(photos, tmp_path):
    files = ko.ImageFolderSequence(photos, image_size=SIZE, batch_size=4, seed=3)
    packed = ko.open_packed(files.pack(tmp_path / "packed"), batch_size=4, seed=3)

    assert packed.class_names == CLASS_NAMES
    assert packed.num_samples == NUM_SAMPLES
    for ours, theirs in zip(packed, files, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert [packed.filenames(i) for i in range(3)] == [files.filenames(i) for i in range(3)]


def test_moved_store_needs_no_other_files(photos, tmp_path):
    ko.ImageFolderSequence(photos, image_size=SIZE).pack(tmp_path / "packed")
    shutil.rmtree(photos)
    shutil.move(tmp_path / "packed", tmp_path / "elsewhere")
    packed = ko.open_packed(tmp_path / "elsewhere", shuffle=False)
    x, y = packed[0]

    assert numbers_in(x) == list(range(NUM_SAMPLES))
    assert y.tolist() == LABELS
    assert packed.file_paths[0].endswith("ant/0.png")
    assert "packed in" in repr(packed)
    packed.verify()


@pytest.mark.one_backend
def test_fit_and_predict(photos, tmp_path):
    packed = ko.open_packed(
        ko.ImageFolderSequence(photos, image_size=SIZE).pack(tmp_path / "packed"), batch_size=4, shuffle=False
    )
    images = keras.Input((*SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(3)(mean))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(packed, epochs=2, verbose=0)

    assert np.isfinite(history.history["loss"]).all()
    means = keras.Model(images, mean).predict(packed, verbose=0)
    assert means[:, 0].tolist() == [10.0 * number for number in range(NUM_SAMPLES)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(None, None), (np.arange(20.0).reshape(10, 2), "raw"), (["b"] * 5 + ["a"] * 5, "int"), (LABELS, "int")],
)
def test_label_mode_as_packed(photos, tmp_path, labels, expected):
    filenames = ko.Manifest.from_directory(photos).filenames
    files = ko.ImageFolderSequence(
        filenames, labels=labels, label_mode="raw" if expected == "raw" else "int", directory=photos, image_size=SIZE
    )
    packed = ko.open_packed(files.pack(tmp_path / "packed"), shuffle=False)

    if expected is None:
        assert packed.labels is None
        assert isinstance(packed[0], np.ndarray)
    else:
        assert np.array_equal(packed[0][1], files.labels)


def test_packing_again_replaces_labels_without_reading_rows(photos, tmp_path, monkeypatch):
    manifest = ko.Manifest.from_directory(photos)
    ko.ImageFolderSequence(manifest, image_size=SIZE).pack(tmp_path / "packed")
    turned = ko.Manifest(manifest.filenames, 2 - manifest.labels, CLASS_NAMES[::-1], manifest.directory)
    relabelled = ko.ImageFolderSequence(turned, image_size=SIZE)
    monkeypatch.setattr(inside.samples(relabelled), "read", None)
    relabelled.pack(tmp_path / "packed")
    packed = ko.open_packed(tmp_path / "packed", shuffle=False)

    assert packed.class_names == CLASS_NAMES[::-1]
    assert packed[0][1].tolist() == [2 - label for label in LABELS]


def test_arrays_that_are_not_images(tmp_path):
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.full((3, 2), number, "float32"))
    names = [f"{number}.npy" for number in range(6)]
    files = ko.NpyManifestSequence(names, labels=np.arange(6) / 2, directory=tmp_path, batch_size=4, shuffle=False)
    packed = ko.open_packed(files.pack(tmp_path / "packed"), batch_size=4, shuffle=False)

    x, y = packed[1]
    assert (x.dtype, x.shape, x[:, 0, 0].tolist(), y.tolist()) == (np.float32, (2, 3, 2), [4.0, 5.0], [2.0, 2.5])


def test_default_data_format_applies_to_images(photos, tmp_path):
    packed = ko.ImageFolderSequence(photos, image_size=SIZE).pack(tmp_path / "packed")
    keras.config.set_image_data_format("channels_first")
    try:
        assert ko.open_packed(packed)[0][0].shape == (10, 3, *SIZE)
        assert ko.open_packed(packed, data_format="channels_last")[0][0].shape == (10, *SIZE, 3)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_unreadable_files_are_stored_as_bad_samples(photos, tmp_path):
    (photos / "ant" / "2.png").write_bytes(b"not an image")
    files = ko.ImageFolderSequence(photos, image_size=SIZE, on_error="skip")
    files.pack(tmp_path / "packed")

    assert [path for path, _ in files.bad_samples] == [str(photos / "ant" / "2.png")]
    packed = ko.open_packed(tmp_path / "packed", shuffle=False, on_error="skip")
    assert numbers_in(packed[0][0]) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert [reason for _, reason in packed.bad_samples] == [reason for _, reason in files.bad_samples]
    with pytest.raises(SampleError, match=r"Cannot read sample 2, 'ant/2.png': .*on_error="):
        ko.open_packed(tmp_path / "packed", shuffle=False)[0]


def test_missing_and_unfinished_stores_are_errors(photos, tmp_path):
    with pytest.raises(DataError, match="nothing' does not exist"):
        ko.open_packed(tmp_path / "nothing")
    sequence = ko.ImageFolderSequence(photos, image_size=SIZE, batch_size=4, cache=tmp_path / "cache")
    sequence[0]
    with pytest.raises(DataError, match=r"is unfinished. Finish it where the original files are: with sequence.pack"):
        ko.open_packed(tmp_path / "cache")
    ko.ImageFolderSequence(
        photos, image_size=SIZE, cache=tmp_path / "both", validation_split=0.3, subset="training", seed=0
    )[0]
    with pytest.raises(DataError, match=rf"Open one of them: {re.escape(str(tmp_path / 'both' / 'training'))}$"):
        ko.open_packed(tmp_path / "both")


def test_pack_is_an_error_of_sequences_without_files(photos, tmp_path):
    packed = ko.open_packed(ko.ImageFolderSequence(photos, image_size=SIZE).pack(tmp_path / "packed"))

    for rows in (packed, ko.ArraySequence(np.zeros((3, 2)), labels=None)):
        with pytest.raises(AttributeError, match=r"no attribute 'pack'\. Instead: only Sequences of files have it"):
            rows.pack(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_verify_names_changed_rows(photos, tmp_path):
    directory = ko.ImageFolderSequence(photos, image_size=SIZE).pack(tmp_path / "packed")
    with open(directory / "x.npy", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")

    with pytest.raises(DataError, match=r"changed since it was written: rows 0 to 9 of x.npy"):
        ko.open_packed(directory).verify()
