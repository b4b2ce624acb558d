"""NpyManifestSequence: `.npy` files, and sounds with a reader."""

import pickle
import re
import wave

import cloudpickle
import keras
import numpy as np
import pytest
from contracts.files import FileContract, SingleFileContract
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.passes import PassContract
from contracts.workers import WorkerContract
from wav_reader import MELS, log_mel, mel_edges

from keras_oocore.core.errors import DataError, OptionError, SampleError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences import ArraySequence, NpyManifestSequence

RATE = 8000


class TestFiles(FileContract):
    """Ten `.npy` files. Every element of file i is i."""

    def prepare(self, folder):
        for number in range(NUM_SAMPLES):
            np.save(folder / f"{number}.npy", np.full((2, 3), number, "float32"))

    def open(self, folder, **options):
        filenames = [f"{number}.npy" for number in range(NUM_SAMPLES)]
        return NpyManifestSequence(filenames, **{"labels": LABELS, "directory": folder, **options})

    def numbers(self, x):
        flat = x.reshape(len(x), -1)
        assert (flat == flat[:, :1]).all()
        return flat[:, 0].astype(int).tolist()

    def test_file_of_another_shape_is_named(self, make):
        sequence = make(shuffle=False)
        np.save(sequence.file_paths[7], np.zeros((2, 4), "float32"))
        path = re.escape(repr(sequence.file_paths[7]))

        with pytest.raises(
            SampleError, match=rf"Cannot read sample 7, {path}: expected an array of shape \(2, 3\) .*\(2, 4\)"
        ):
            sequence[1]

    def test_first_readable_file_defines_the_shape(self, make):
        paths = make().file_paths
        self.damage(paths[0])

        with pytest.raises(SampleError, match=rf"Cannot read sample 0, {re.escape(repr(paths[0]))}: not a .npy file"):
            make()
        assert make(on_error="skip", shuffle=False)[0][0].shape == (3, 2, 3)
        for path in paths:
            self.damage(path)
        with pytest.raises(SampleError, match="None of the 10 files can be read"):
            make(on_error="skip")


def write_tone(path, hertz, num_samples=2000):
    """Write a sine wave of one pitch, as 16-bit samples."""
    tone = np.sin(2 * np.pi * hertz * np.arange(num_samples) / RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((tone * 2**14).astype("<i2").tobytes())


class TestSounds(SingleFileContract, PassContract, WorkerContract):
    """Log-mel spectrograms of ten `.wav` files. The pitch of file i is that of mel filter 3i + 1."""

    def prepare(self, folder):
        for number in range(NUM_SAMPLES):
            write_tone(folder / f"{number}.wav", mel_edges(RATE)[1 + 3 * number + 1])

    def open(self, folder, **options):
        filenames = [f"{number}.wav" for number in range(NUM_SAMPLES)]
        return NpyManifestSequence(filenames, **{"labels": LABELS, "directory": folder, "reader": log_mel, **options})

    def numbers(self, x):
        loudest = x.mean(axis=1).argmax(axis=-1)
        assert (loudest % 3 == 1).all()
        return (loudest // 3).tolist()

    def test_spectrogram_shape(self, make):
        x, _ = make()[0]

        assert (x.shape, x.dtype) == ((4, 6, MELS), np.float32)

    def test_file_of_another_length_is_named(self, make):
        sequence = make(shuffle=False)
        path = sequence.file_paths[3]
        write_tone(path, 440, num_samples=4000)

        with pytest.raises(
            SampleError,
            match=rf"sample 3, {re.escape(repr(path))}: `reader` returned .*\(14, 32\).* first file it was \(6, 32\)",
        ):
            sequence[0]

    @pytest.mark.one_backend
    def test_fit_learns_pitch(self, make):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.layers.Normalization(), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)]
        )
        model.layers[0].adapt(np.concatenate([x for x, _ in make()]))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
        history = model.fit(make(), epochs=12, verbose=0)

        assert history.history["accuracy"][-1] == 1


@pytest.fixture
def files(tmp_path):
    """Class folders of `.npy` files. Every element of file i is i."""
    for number, label in enumerate(LABELS):
        (tmp_path / "arrays" / CLASS_NAMES[label]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "arrays" / CLASS_NAMES[label] / f"{number}.npy", np.full(2, number, "float32"))
    return tmp_path / "arrays"


def first_column(sequence):
    return [(x[:, 0].tolist(), y.tolist()) for x, y in sequence]


def test_data_is_a_directory_a_manifest_or_file_names(files, tmp_path):
    manifest = Manifest.from_directory(files, extensions=".npy")
    manifest.save(tmp_path / "saved")
    options = dict(batch_size=4, shuffle=False)
    by_name = [
        NpyManifestSequence(files, **options),
        NpyManifestSequence(str(files), **options),
        NpyManifestSequence(manifest, **options),
        NpyManifestSequence(
            tmp_path / "saved/filenames.npy", tmp_path / "saved/labels.npy", directory=files, **options
        ),
        NpyManifestSequence(manifest.filenames, manifest.labels, directory=files, **options),
        NpyManifestSequence(manifest.file_paths, LABELS, directory=None, **options),
    ]

    for sequence in by_name:
        assert first_column(sequence) == [
            ([0, 1, 2, 3], [0, 0, 0, 0]),
            ([4, 5, 6, 7], [1, 1, 1, 2]),
            ([8, 9], [2, 2]),
        ]
    assert by_name[0].class_names == by_name[2].class_names == CLASS_NAMES


def test_string_labels_become_class_indices(files):
    names = [CLASS_NAMES[label] for label in LABELS]
    manifest = Manifest.from_directory(files, extensions=".npy")
    of_files = NpyManifestSequence(manifest.filenames, names, directory=files, label_mode="int")
    of_rows = ArraySequence(np.zeros((10, 2)), names, label_mode="int")

    assert of_files.labels.tolist() == of_rows.labels.tolist() == LABELS
    assert of_files.class_names == of_rows.class_names == CLASS_NAMES


def test_samples_can_be_single_numbers(tmp_path):
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.float32(number + 0.5))
    of_files = NpyManifestSequence([f"{n}.npy" for n in range(3)], [0, 1, 2], directory=tmp_path, shuffle=False)
    of_rows = ArraySequence(np.array([0.5, 1.5, 2.5]), labels=[0, 1, 2], shuffle=False)

    assert of_files[0][0].tolist() == of_rows[0][0].tolist() == [0.5, 1.5, 2.5]


class Halves:
    """A reader object. Its shape and dtype do not depend on a file."""

    shape, dtype = (2,), "float16"

    def read_into(self, path, out):
        out[:] = np.load(path) / 2


def test_reader_can_be_an_object(files):
    sequence = NpyManifestSequence(files, reader=Halves(), batch_size=10, shuffle=False)
    x, _ = pickle.loads(pickle.dumps(sequence))[0]

    assert x.dtype == np.float16
    assert x[:, 0].tolist() == [number / 2 for number in range(10)]


def test_reader_can_be_a_lambda_with_cloudpickle(files):
    sequence = NpyManifestSequence(files, reader=lambda path: np.load(path) * 3, batch_size=10, shuffle=False)

    assert pickle.loads(cloudpickle.dumps(sequence))[0][0][:, 0].tolist() == [3 * number for number in range(10)]


def test_repr(files):
    assert repr(NpyManifestSequence(files, seed=3, workers=2, batch_size=4)) == (
        "<NpyManifestSequence: 10 samples, 3 classes\n"
        "  3 batches of 4, shuffled, seed=3\n"
        "  x float32 (4, 2), y int32 (4,)\n"
        f"  from {str(files)!r}\n"
        "  2 threads, 10 batches ahead, at most 384 B in flight>"
    )


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (np.zeros((3, 2)), dict(labels=None), OptionError, r"use ko.ArraySequence\(data, labels\)"),
        ([], dict(labels=None), DataError, "at least one filename"),
        (["a.npy"], dict(), OptionError, "File names require labels"),
        (["no.npy"], dict(labels=None), SampleError, r"Cannot read sample 0, .*no.npy.*: .*No such file"),
        ("no/such/place", dict(), DataError, "Directory 'no/such/place' does not exist"),
        ("no.npy", dict(labels=None), DataError, "Cannot read .*no.npy': No such file or directory"),
    ],
)  # fmt: skip
def test_invalid_data_is_refused(data, options, error, message):
    with pytest.raises(error, match=message):
        NpyManifestSequence(data, **options)


def test_directory_without_npy_files_is_an_error(tmp_path):
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant/notes.txt").touch()

    with pytest.raises(DataError, match=r"No files ending in .npy in the class folders .*1 .txt"):
        NpyManifestSequence(tmp_path)
