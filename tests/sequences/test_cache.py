"""cache=: the first epoch stores, later ones read rows, and no row is served that its file would not give now."""

import copy
import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
import warnings

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.files import FileContract
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.reading import add_noise, given_and_states, resumed, saved
from drawing import SIZE, draw, numbers_in
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import DataError, DestinationError, OptionError, SampleError
from keras_oocore.core.locks import write_lock
from keras_oocore.sources import cached


class TestCachedImages(FileContract):
    """Every promise of a Sequence of files holds while its cache fills; each Sequence has a cache of its own."""

    caches = itertools.count()

    def prepare(self, folder):
        for number, label in enumerate(LABELS):
            draw(folder / CLASS_NAMES[label] / f"{number}.png", number)

    def open(self, folder, **options):
        cache = folder.parent / f"cache {next(self.caches)}"
        return ko.ImageFolderSequence(folder, **{"image_size": SIZE, "cache": cache, **options})

    def numbers(self, x):
        return numbers_in(x)


class TestFilledCache(FileContract):
    """Every promise holds too when all rows come from a cache; only damage to the files shows, as a change."""

    prepare = TestCachedImages.prepare
    numbers = TestCachedImages.numbers

    def open(self, folder, **options):
        opened = TestCachedImages.open(self, folder, **options)
        for sequence in opened if isinstance(opened, tuple) else [opened]:
            sequence.pack(inside.cache(sequence).directory)
        return opened

    caches = itertools.count()

    # A file that changes after its row was stored is not read again: see below.
    test_file_paths_are_in_the_order_of_the_samples = None
    test_an_unreadable_file_is_named_and_other_batches_can_be_read = None
    test_a_deleted_file_is_named = None


@pytest.fixture
def opened(photos, tmp_path):
    """Opens the photos with a cache; and says which of them were decoded."""
    read_into = cached.Cached._read_and_store
    decoded = []

    def noted(samples, store, numbers, out):
        decoded.extend(numbers.tolist())
        return read_into(samples, store, numbers, out)

    def open_photos(**options):
        # without threads: what they begin for the next pass may be decoded twice
        options = {"image_size": SIZE, "batch_size": 4, "seed": 0, "workers": 0, "cache": tmp_path / "cache", **options}
        return ko.ImageFolderSequence(photos, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached.Cached, "_read_and_store", noted)
        open_photos.decoded = decoded
        yield open_photos


def filled(sequence):
    """Once through, and the store finished."""
    list(sequence)
    inside.cache(sequence).finish()
    return sequence


def as_bytes(sequence):
    return [[part.tobytes() for part in batch] for batch in sequence]


def test_the_first_pass_decodes_every_file_once_and_later_ones_none(opened):
    sequence = opened()
    passes = [as_bytes(sequence) for _ in range(3)]

    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))
    plain = opened(cache=None)
    assert passes == [as_bytes(plain) for _ in range(3)]


def test_a_later_run_decodes_nothing(opened):
    filled(opened()).close()
    opened.decoded.clear()

    assert as_bytes(opened()) == as_bytes(opened(cache=None))
    assert opened.decoded == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_was_stopped_goes_on_where_it_was(opened, workers):
    stopped = opened(workers=workers, max_queue_size=1)
    first = stopped[0]
    stopped.close()
    done = list(opened.decoded)
    assert 4 <= len(done) < NUM_SAMPLES
    sequence = opened(workers=workers)
    list(sequence)

    assert sorted(set(opened.decoded)) == list(range(NUM_SAMPLES))
    assert not set(done) & set(opened.decoded[len(done) :])  # none of them again
    assert first[0].tobytes() == stopped[0][0].tobytes()


def test_what_shapes_batches_but_not_rows_may_change(opened):
    filled(opened())
    opened.decoded.clear()

    for options in (
        dict(batch_size=3, shuffle=False),
        dict(rescale=1 / 255),
        dict(dtype="float32", data_format="channels_first", label_mode="categorical"),
        dict(transform=lambda x, y, rng: (x + 1, y), class_weight="balanced"),
        dict(seed=5, workers=0, on_error="skip"),
    ):
        plain, cached = opened(**{**options, "cache": None}), opened(**options)
        assert as_bytes(cached) == as_bytes(plain)
    assert opened.decoded == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(image_size=(6, 5)), r"image_size was \[4, 5\], is \[6, 5\]"),
        (dict(color_mode="grayscale"), r"color_mode was 'rgb', is 'grayscale'"),
        (dict(interpolation="nearest"), r"interpolation was 'bilinear', is 'nearest'"),
        (dict(crop_to_aspect_ratio=True), r"crop_to_aspect_ratio was False, is True"),
        (dict(class_names=["cat", "ant"]), r"files was '10 names .*', is '7 names .*number of rows was 10, is 7"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_other_rows_are_refused_and_the_message_says_what_differs(opened, options, message, whole):
    before = opened()
    filled(before) if whole else before[0]
    before.close()

    with pytest.raises(DataError, match=rf"stores other rows: .*{message}.* Pass overwrite_cache=True"):
        opened(**options)
    again = opened(overwrite_cache=True, **options)
    plain = opened(**{**options, "cache": None})
    assert as_bytes(again) == as_bytes(plain)
    assert as_bytes(again) == as_bytes(plain)


def test_files_of_other_names_are_refused(opened, photos):
    opened().close()
    (photos / "ant" / "0.png").rename(photos / "ant" / "00.png")

    with pytest.raises(DataError, match=r"stores other rows: files was '10 names with CRC-32"):
        opened()


def test_files_that_changed_are_refused_by_name_and_made_again_when_asked(opened, photos):
    filled(opened())
    draw(photos / "bee" / "5.png", 25)

    with pytest.raises(DataError, match=rf"1 of 10 files changed since .*{re.escape(str(photos / 'bee' / '5.png'))}"):
        opened()
    x, _ = opened(overwrite_cache=True, shuffle=False)[1]
    assert numbers_in(x) == [4, 25, 6, 7]


def test_a_file_that_changes_between_epochs_is_not_served_stale(opened, photos):
    sequence = opened(shuffle=False)
    list(sequence)
    path = photos / "bee" / "5.png"
    draw(path, 25)

    with pytest.raises(
        SampleError, match=rf"Cannot read sample 5, {re.escape(repr(str(path)))}: its file changed since .*overwrite"
    ):
        list(sequence)
    assert numbers_in(sequence[0][0]) == [0, 1, 2, 3]
    skipping = opened(shuffle=False, on_error="skip", overwrite_cache=True)
    list(skipping)
    draw(path, 15)
    assert [len(x) for x, _ in skipping] == [4, 3, 2]
    assert [name for name, _ in skipping.bad_samples] == [str(path)]


def test_a_file_that_changes_before_its_row_is_stored_gives_its_new_row(opened, photos):
    sequence = opened(shuffle=False)
    draw(photos / "bee" / "5.png", 25)

    for _ in range(2):
        assert numbers_in(np.concatenate([x for x, _ in sequence])) == [0, 1, 2, 3, 4, 25, 6, 7, 8, 9]


def test_files_that_are_gone_are_served_from_the_cache(opened, photos, tmp_path):
    manifest = ko.Manifest.from_directory(photos)
    options = dict(image_size=SIZE, shuffle=False, cache=tmp_path / "cache")
    filled(ko.ImageFolderSequence(manifest, **options))
    shutil.rmtree(photos)

    assert numbers_in(ko.ImageFolderSequence(manifest, **options)[0][0]) == list(range(NUM_SAMPLES))


def test_a_bad_file_is_noted_and_read_again_once_it_is_mended(opened, photos):
    path = photos / "ant" / "2.png"
    path.write_bytes(b"not a picture")
    before = opened(shuffle=False, on_error="skip")
    filled(before), filled(before)
    assert opened.decoded.count(2) == 1
    reasons = before.bad_samples
    before.close()
    again = opened(shuffle=False, on_error="skip")
    list(again)
    assert again.bad_samples == reasons
    again.close()

    draw(path, 2)
    opened.decoded.clear()
    mended = opened(shuffle=False)
    assert numbers_in(mended[0][0]) == [0, 1, 2, 3]
    assert opened.decoded == [2]
    assert filled(mended).bad_samples == []


def test_with_on_error_raise_a_bad_file_is_not_noted(opened, photos):
    (photos / "ant" / "2.png").write_bytes(b"not a picture")
    sequence = opened(shuffle=False, workers=0)

    for _ in range(2):
        with pytest.raises(SampleError, match="Cannot read sample 2"):
            sequence[0]
    assert opened.decoded.count(2) == 2


def test_each_subset_has_a_cache_of_its_own(opened, tmp_path):
    train, val = opened().split(validation_split=0.3)
    filled(train), filled(val)

    assert sorted(os.listdir(tmp_path / "cache")) == ["training", "validation"]
    numbers = [numbers_in(np.concatenate([x for x, _ in sequence])) for sequence in (train, val)]
    assert sorted(numbers[0] + numbers[1]) == list(range(NUM_SAMPLES))
    packed = ko.open_packed(tmp_path / "cache" / "validation", shuffle=False)
    assert numbers_in(packed[0][0]) == numbers[1]
    with pytest.raises(DataError, match="stores other rows: files was"):
        opened(validation_split=0.3, subset="training", seed=1)


def test_a_cell_that_is_run_again_goes_on_with_the_same_cache(opened):
    first = opened()
    first[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = opened()  # while the first one is alive
    list(second)
    list(first)

    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))


def test_a_closed_cache_opens_again(opened, monkeypatch):
    monkeypatch.setattr(cached, "RETRY_SECONDS", 0)
    sequence = opened()
    first, second = opened(), opened()
    with sequence:
        sequence[0]
    for other in (first, second, sequence):
        list(other)

    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))


def test_partitions_fill_one_cache_and_all_of_them_read_it(opened):
    parts = opened().partition(2)
    first = [as_bytes(part) for part in parts]

    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))
    parts[0].close()
    assert [as_bytes(part) for part in opened(cache=None).partition(2)] == first
    for part in parts:
        assert sorted(numbers_in(np.concatenate([x for x, _ in part]))) == part._pipeline.order.members().tolist()
    assert sorted(opened.decoded[:NUM_SAMPLES]) == list(range(NUM_SAMPLES))
    assert len(opened.decoded) == NUM_SAMPLES  # none of them again, in the second pass, though one was closed
    assert inside.cache(parts[0]) is inside.cache(parts[1])


def test_a_run_resumes_while_its_cache_is_half_full(opened, tmp_path):
    given, states = given_and_states(opened(cache=None, transform=add_noise), 2)
    stopped = opened(transform=add_noise)
    stream = iter(stopped)
    next(stream)
    state = saved(stopped)
    stream.close()
    stopped.close()
    tail, again = resumed(lambda seed: opened(seed=seed, transform=add_noise), state, 5)

    assert state == states[1]
    assert tail == given[1:]
    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))  # the files of the first batch not again
    assert saved(again) == saved(opened(cache=None)) | {"epoch": 2}


def test_labels_come_from_the_arguments_and_beside_the_rows_lie_the_latest(opened, tmp_path):
    filled(opened())
    relabelled = opened(class_names=None, labels="inferred", label_mode="int")
    assert relabelled.labels.tolist() == LABELS
    names = ko.Manifest.load(tmp_path / "cache").filenames.tolist()
    assert names[0] == "ant/0.png"


def test_a_reader_of_the_same_name_with_other_code_is_refused(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(str(number))
    names = [f"{number}.txt" for number in range(3)]

    def opened(reader):
        return ko.NpyManifestSequence(
            names, labels=None, directory=tmp_path, reader=reader, cache=tmp_path / "cache", shuffle=False
        )

    def number_in(path, factor=1):
        return np.array([float(open(path).read())]) * factor

    first = opened(number_in)
    assert first[0].ravel().tolist() == [0, 1, 2]
    assert opened(number_in)[0].ravel().tolist() == [0, 1, 2]
    original = number_in

    def number_in(path, factor=2):
        return np.array([float(open(path).read())]) * factor

    with pytest.raises(DataError, match=r"reader was '.*number_in \(CRC-32 .*\)', is '.*number_in \(CRC-32"):
        opened(number_in)
    with pytest.raises(DataError, match=r"reader was .*number_in \(CRC-32"):
        opened(functools.partial(original, factor=3))


def test_a_reader_of_ones_own_kind_may_say_what_its_options_are(tmp_path):
    class Reader:
        shape, dtype = (), "int64"

        def __init__(self, offset):
            self.options = {"offset": offset}

        def read_into(self, path, out):
            out[...] = int(open(path).read()) + self.options["offset"]  # noqa: SIM115

    (tmp_path / "7.txt").write_text("7")

    def opened(reader):
        return ko.NpyManifestSequence(
            ["7.txt"], labels=None, directory=tmp_path, reader=reader, cache=tmp_path / "cache"
        )

    assert opened(Reader(1))[0].tolist() == [8]
    assert opened(Reader(1))[0].tolist() == [8]
    with pytest.raises(DataError, match="offset was 1, is 2"):
        opened(Reader(2))


def test_options_that_cannot_work_together_are_refused(opened, photos, tmp_path):
    with pytest.raises(OptionError, match=r"`overwrite_cache=True` goes with `cache`. Received: cache=None"):
        opened(cache=None, overwrite_cache=True)
    with pytest.raises(OptionError, match="`cache` stores what was read from files"):
        ko.NpyManifestSequence(np.zeros((3, 2)), labels=None, cache=tmp_path / "cache")


def test_a_folder_of_other_files_is_left_alone(opened, photos):
    with pytest.raises(DestinationError, match=r"holds other files \(ant, bee, cat\) and no packed store"):
        opened(cache=photos)
    assert sorted(os.listdir(photos)) == CLASS_NAMES


def test_an_error_of_the_constructor_leaves_no_cache(opened, tmp_path):
    with pytest.raises(OptionError, match="`max_queue_size`"):
        opened(max_queue_size=0)
    assert not (tmp_path / "cache").exists()


def test_too_small_a_disk_is_refused_before_the_first_byte(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))

    with pytest.raises(DestinationError, match=r"Not enough disk for the packed store: 760 B needed, 5 B free"):
        opened()
    assert not (tmp_path / "cache").exists()


def test_a_disk_that_fills_up_costs_the_cache_and_not_the_training(opened, monkeypatch):
    sequence = opened(workers=0)
    sequence[0]
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match=r"The cache is no longer filled; .*No space left on device"):
        list(sequence)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = opened(cache=None)
        list(plain)
        assert as_bytes(sequence) == as_bytes(plain)
    with (
        pytest.raises(DestinationError, match="No space left on device"),
        pytest.warns(UserWarning, match="no longer filled"),
    ):
        opened(cache=None).pack(inside.cache(sequence).directory)
    monkeypatch.undo()
    sequence.close()
    opened(cache=None).pack(inside.cache(sequence).directory)


@pytest.mark.backend
def test_a_network_trains_on_the_same_batches_with_and_without(opened):
    def trained(sequence):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model.fit(sequence, epochs=3, verbose=0).history["loss"]

    assert trained(opened()) == trained(opened(cache=None))
    assert sorted(opened.decoded) == list(range(NUM_SAMPLES))


def test_names_with_spaces_and_any_script(tmp_path):
    for name in ("a b", "ü-ñ-鹿", "it's"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    sequence = ko.ImageFolderSequence(
        ko.Manifest.from_directory(tmp_path, labels=None), image_size=4, cache=tmp_path / "cache ü"
    )
    filled(sequence)

    assert sorted(ko.open_packed(tmp_path / "cache ü").file_paths) == sorted(sequence.file_paths)


def test_one_sample_is_enough(tmp_path):
    Image.new("RGB", (4, 4), (70, 70, 70)).save(tmp_path / "only.png")
    sequence = ko.ImageFolderSequence(
        ["only.png"], labels=[0], directory=tmp_path, image_size=4, cache=tmp_path / "cache"
    )
    filled(sequence)

    assert ko.open_packed(tmp_path / "cache")[0][0].max() == 70


# --- what a cache must not mistake ----------------------------------------------------------------------------------


def scaled_by(factor):
    def read(path):
        return np.load(path) * factor

    return read


class Scaling:
    """Reads with a factor, as a callable, a method, or a reader."""

    shape, dtype = (), np.dtype(float)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, path):
        return np.load(path) * self.factor

    def read(self, path):
        return self(path)

    def read_into(self, path, out):
        out[...] = self(path)


def from_text(factor):
    """A function whose source nobody has."""
    names = {"np": np}
    exec(f"def read(path): return np.load(path) * {factor}", names)
    return names["read"]


def with_default(factor):
    def read(path, factor=0):
        return np.load(path) * factor

    read.__defaults__ = (factor,)
    return read


@pytest.mark.parametrize(
    "reader_of",
    [
        scaled_by,
        with_default,
        from_text,
        Scaling,
        lambda factor: Scaling(factor).read,
        lambda factor: functools.partial(Scaling.__call__, Scaling(factor)),
        lambda factor: functools.partial(lambda factors, path: np.load(path) * factors[-1], np.full(5000, factor)),
    ],
    ids=["closure", "default", "no source", "reader object", "bound method", "partial", "partial of a large array"],
)
def test_a_reader_that_holds_other_values_is_refused(tmp_path, reader_of):
    np.save(tmp_path / "0.npy", np.array(7.0))

    def opened(factor):
        return ko.NpyManifestSequence(
            ["0.npy"], labels=None, directory=tmp_path, reader=reader_of(factor), cache=tmp_path / "cache"
        )

    assert filled(opened(2.0))[0].tolist() == [14.0]
    assert opened(2.0)[0].tolist() == [14.0]
    with pytest.raises(DataError, match=r"stores other rows: reader was"):
        opened(3.0)


def test_a_cache_within_the_data_is_no_class_of_it(opened, photos):
    for _ in range(2):
        train, val = opened(cache=photos / "cache").split(validation_split=0.3)
        assert train.class_names == CLASS_NAMES
        filled(train), filled(val)
    assert opened(cache=photos / "another").class_names == CLASS_NAMES
    assert opened(cache=None).class_names == CLASS_NAMES


def test_labels_beside_the_rows_stay_when_somebody_comes_without(opened, photos, tmp_path):
    filled(opened())
    names = ko.Manifest.load(tmp_path / "cache").filenames
    ko.ImageFolderSequence(names, labels=None, directory=photos, image_size=SIZE, cache=tmp_path / "cache")

    assert ko.open_packed(tmp_path / "cache").class_names == CLASS_NAMES


def test_other_files_without_labels_bring_their_own_names(opened, photos, tmp_path):
    filled(opened()).close()
    others = ["cat/9.png", "bee/5.png"]
    filled(
        ko.ImageFolderSequence(
            others, labels=None, directory=photos, image_size=SIZE, cache=tmp_path / "cache", overwrite_cache=True
        )
    ).close()

    packed = ko.open_packed(tmp_path / "cache", shuffle=False)
    assert (packed.filenames(0), packed.labels, numbers_in(packed[0])) == (others, None, [9, 5])


@pytest.mark.parametrize("overwrite_cache", [True, False])
def test_a_cache_that_was_deleted_under_a_living_sequence_is_made_again(opened, tmp_path, overwrite_cache):
    first = opened()
    first[0]
    shutil.rmtree(tmp_path / "cache")
    second = opened(overwrite_cache=overwrite_cache)
    filled(second)

    ko.open_packed(tmp_path / "cache").verify()


def test_a_disk_that_fails_for_a_moment_leaves_no_bad_sample_behind(tmp_path):
    np.save(tmp_path / "0.npy", np.array(7.0)), np.save(tmp_path / "1.npy", np.array(8.0))
    failing = []

    def read(path):
        if failing and path.endswith("1.npy"):
            raise OSError(failing.pop(), "Too many open files")
        return np.load(path)

    def opened():
        return ko.NpyManifestSequence(
            ["0.npy", "1.npy"], None, directory=tmp_path, reader=read, cache=tmp_path / "cache", on_error="skip",
            shuffle=False, workers=0,
        )  # fmt: skip

    sequence = opened()
    failing.append(24)
    assert sequence[0].tolist() == [7.0]
    assert sequence[0].tolist() == [7.0, 8.0]


def test_a_manifest_of_other_files_beside_the_rows_is_noticed(opened, tmp_path):
    filled(opened()).close()
    ko.Manifest.load(tmp_path / "cache").take([3, 1, 2]).save(tmp_path / "cache")

    with pytest.raises(DataError, match=r"filenames.npy and labels.npy are not those of its rows"):
        ko.open_packed(tmp_path / "cache")
    opened().pack(tmp_path / "cache")
    assert ko.open_packed(tmp_path / "cache").num_samples == NUM_SAMPLES


def test_a_refused_cache_is_let_go_though_the_error_is_kept(opened, photos, tmp_path):
    first = opened(shuffle=False)
    first[0]
    first.close()
    draw(photos / "ant" / "0.png", 20)
    with pytest.raises(DataError, match="files changed since") as kept:
        opened()
    with write_lock(tmp_path / "cache"):
        assert kept.value is not None


def test_packing_its_own_cache_again_heals_a_sequence_whose_files_changed(opened, photos, tmp_path):
    sequence = filled(opened(shuffle=False))
    draw(photos / "ant" / "0.png", 20)
    with pytest.raises(SampleError, match="its file changed since"):
        sequence[0]
    sequence.pack(tmp_path / "cache", overwrite_cache=True)

    assert numbers_in(sequence[0][0]) == [20, 1, 2, 3]


def test_packing_while_its_threads_read_ahead_leaves_no_row_out(opened, tmp_path, monkeypatch):
    sequence = opened(workers=2)
    sequence[0], sequence[1]
    sequence.pack(tmp_path / "cache")

    ko.open_packed(tmp_path / "cache").verify()


def test_a_script_that_ends_with_an_unfinished_cache_says_nothing(photos, tmp_path):
    script = f"""
import keras_oocore as ko
sequence = ko.ImageFolderSequence({str(photos)!r}, image_size=4, batch_size=2, workers=0, cache={str(tmp_path / "c")!r})
sequence[0]
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "numpy"}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=300)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_relative_directory_stays_the_same_folder(opened, tmp_path, monkeypatch):
    filled(opened()).close()
    monkeypatch.chdir(tmp_path)
    packed = ko.open_packed("cache", shuffle=False)
    monkeypatch.chdir("/")

    packed.verify()
    assert np.array_equal(copy.deepcopy(packed)[0][0], packed[0][0])
