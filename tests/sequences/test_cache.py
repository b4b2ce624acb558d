"""cache=: the first epoch fills it, later epochs and runs read it, and outdated rows are never served."""

import copy
import os
import re
import shutil
import warnings

import inside_sequence as inside
import keras
import numpy as np
import pytest
from cached_photos import filled
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from contracts.reading import add_noise, as_bytes, given_and_states, resumed, saved
from drawing import SIZE, draw, numbers_in
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.sources import shared_store


def test_every_file_is_decoded_once(open_photos):
    sequence = open_photos()
    passes = [as_bytes(sequence) for _ in range(3)]

    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))
    plain = open_photos(cache=None)
    assert passes == [as_bytes(plain) for _ in range(3)]


def test_later_run_decodes_no_file(open_photos):
    filled(open_photos()).close()
    open_photos.decoded.clear()

    assert as_bytes(open_photos()) == as_bytes(open_photos(cache=None))
    assert open_photos.decoded == []


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_run_is_resumed(open_photos, workers):
    stopped = open_photos(workers=workers, max_queue_size=1)
    first = stopped[0]
    stopped.close()
    done = list(open_photos.decoded)
    assert 4 <= len(done) < NUM_SAMPLES
    sequence = open_photos(workers=workers)
    list(sequence)

    assert sorted(set(open_photos.decoded)) == list(range(NUM_SAMPLES))
    assert not set(done) & set(open_photos.decoded[len(done) :])  # no file is decoded again
    assert first[0].tobytes() == stopped[0][0].tobytes()


def test_options_of_batches_may_change(open_photos):
    filled(open_photos())
    open_photos.decoded.clear()

    for options in (
        dict(batch_size=3, shuffle=False),
        dict(rescale=1 / 255),
        dict(dtype="float32", data_format="channels_first", label_mode="categorical"),
        dict(transform=lambda x, y, rng: (x + 1, y), class_weight="balanced"),
        dict(seed=5, workers=0, on_error="skip"),
    ):
        plain, cached = open_photos(**{**options, "cache": None}), open_photos(**options)
        assert as_bytes(cached) == as_bytes(plain)
    assert open_photos.decoded == []


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
def test_options_of_rows_may_not_change_without_overwrite_cache(open_photos, options, message, whole):
    before = open_photos()
    filled(before) if whole else before[0]
    before.close()

    with pytest.raises(DataError, match=rf"stores other rows: .*{message}.* Pass overwrite_cache=True"):
        open_photos(**options)
    again = open_photos(overwrite_cache=True, **options)
    plain = open_photos(**{**options, "cache": None})
    assert as_bytes(again) == as_bytes(plain)
    assert as_bytes(again) == as_bytes(plain)


def test_other_filenames_are_an_error(open_photos, photos):
    filled(open_photos()).close()
    (photos / "ant" / "0.png").rename(photos / "ant" / "00.png")

    with pytest.raises(DataError, match=r"stores other rows: files was '10 names with CRC-32"):
        open_photos()


def test_changed_files_are_an_error_unless_overwrite_cache(open_photos, photos):
    filled(open_photos())
    draw(photos / "bee" / "5.png", 25)

    with pytest.raises(
        DataError,
        match=rf"1 of 10 files changed after they were stored in .*{re.escape(str(photos / 'bee' / '5.png'))}",
    ):
        open_photos()
    x, _ = open_photos(overwrite_cache=True, shuffle=False)[1]
    assert numbers_in(x) == [4, 25, 6, 7]


def test_file_that_changes_between_epochs_is_an_error(open_photos, photos):
    sequence = open_photos(shuffle=False)
    list(sequence)
    path = photos / "bee" / "5.png"
    draw(path, 25)

    with pytest.raises(
        SampleError,
        match=rf"Cannot read sample 5, {re.escape(repr(str(path)))}: its file changed after it was .*overwrite",
    ):
        list(sequence)
    assert numbers_in(sequence[0][0]) == [0, 1, 2, 3]
    sequence.close()  # a complete cache is synced in the background, and locked until then
    skipping = open_photos(shuffle=False, on_error="skip", overwrite_cache=True)
    list(skipping)
    draw(path, 15)
    assert [len(x) for x, _ in skipping] == [4, 3, 2]
    assert [name for name, _ in skipping.bad_samples] == [str(path)]


def test_file_that_changes_before_its_row_is_stored(open_photos, photos):
    sequence = open_photos(shuffle=False)
    draw(photos / "bee" / "5.png", 25)

    for _ in range(2):
        assert numbers_in(np.concatenate([x for x, _ in sequence])) == [0, 1, 2, 3, 4, 25, 6, 7, 8, 9]


def test_deleted_files_are_read_from_the_cache(open_photos, photos, tmp_path):
    manifest = ko.Manifest.from_directory(photos)
    options = dict(image_size=SIZE, shuffle=False, cache=tmp_path / "cache")
    filled(ko.ImageFolderSequence(manifest, **options))
    shutil.rmtree(photos)

    assert numbers_in(ko.ImageFolderSequence(manifest, **options)[0][0]) == list(range(NUM_SAMPLES))


def test_unreadable_file_is_remembered_until_it_changes(open_photos, photos):
    path = photos / "ant" / "2.png"
    path.write_bytes(b"not an image")
    before = open_photos(shuffle=False, on_error="skip")
    filled(before), filled(before)
    assert open_photos.decoded.count(2) == 1
    reasons = before.bad_samples
    before.close()
    again = open_photos(shuffle=False, on_error="skip")
    list(again)
    assert again.bad_samples == reasons
    again.close()

    draw(path, 2)
    open_photos.decoded.clear()
    fixed = open_photos(shuffle=False)
    assert numbers_in(fixed[0][0]) == [0, 1, 2, 3]
    assert open_photos.decoded == [2]
    assert filled(fixed).bad_samples == []


def test_on_error_raise_does_not_remember_unreadable_files(open_photos, photos):
    (photos / "ant" / "2.png").write_bytes(b"not an image")
    sequence = open_photos(shuffle=False, workers=0)

    for _ in range(2):
        with pytest.raises(SampleError, match="Cannot read sample 2"):
            sequence[0]
    assert open_photos.decoded.count(2) == 2


def test_each_subset_has_its_own_cache(open_photos, tmp_path):
    train, val = open_photos().split(validation_split=0.3)
    filled(train), filled(val)

    assert sorted(os.listdir(tmp_path / "cache")) == ["training", "validation"]
    numbers = [numbers_in(np.concatenate([x for x, _ in sequence])) for sequence in (train, val)]
    assert sorted(numbers[0] + numbers[1]) == list(range(NUM_SAMPLES))
    packed = ko.open_packed(tmp_path / "cache" / "validation", shuffle=False)
    assert numbers_in(packed[0][0]) == numbers[1]
    with pytest.raises(DataError, match="stores other rows: files was"):
        open_photos(validation_split=0.3, subset="training", seed=1)


def test_two_sequences_of_one_process_fill_the_same_cache(open_photos):
    first = open_photos()
    first[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = open_photos()  # while the first one still exists
    list(second)
    list(first)

    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))


def test_closed_cache_opens_again(open_photos, monkeypatch):
    monkeypatch.setattr(shared_store, "RETRY_SECONDS", 0)
    sequence = open_photos()
    first, second = open_photos(), open_photos()
    with sequence:
        sequence[0]
    for other in (first, second, sequence):
        list(other)

    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))


def test_partitions_share_one_cache(open_photos):
    parts = open_photos().partition(2)
    first = [as_bytes(part) for part in parts]

    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))
    parts[0].close()
    assert [as_bytes(part) for part in open_photos(cache=None).partition(2)] == first
    for part in parts:
        assert sorted(numbers_in(np.concatenate([x for x, _ in part]))) == inside.members(part)
    assert sorted(open_photos.decoded[:NUM_SAMPLES]) == list(range(NUM_SAMPLES))
    assert (
        len(open_photos.decoded) == NUM_SAMPLES
    )  # no file is decoded again in the second pass, although one partition was closed
    assert inside.cache(parts[0]) is inside.cache(parts[1])


def test_state_resumes_while_the_cache_is_partly_filled(open_photos, tmp_path):
    given, states = given_and_states(open_photos(cache=None, transform=add_noise), 2)
    stopped = open_photos(transform=add_noise)
    stream = iter(stopped)
    next(stream)
    state = saved(stopped)
    stream.close()
    stopped.close()
    tail, again = resumed(lambda seed: open_photos(seed=seed, transform=add_noise), state, 5)

    assert state == states[1]
    assert tail == given[1:]
    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))  # the files of the first batch are not decoded again
    assert saved(again) == saved(open_photos(cache=None)) | {"epoch": 2}


def test_labels_of_the_arguments_replace_stored_labels(open_photos, tmp_path):
    filled(open_photos())
    relabelled = open_photos(class_names=None, labels="inferred", label_mode="int")
    assert relabelled.labels.tolist() == LABELS
    names = ko.Manifest.load(tmp_path / "cache").filenames.tolist()
    assert names[0] == "ant/0.png"


@pytest.mark.one_backend
def test_fit_trains_on_the_same_batches_with_and_without_cache(open_photos):
    def trained(sequence):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model.fit(sequence, epochs=3, verbose=0).history["loss"]

    assert trained(open_photos()) == trained(open_photos(cache=None))
    assert sorted(open_photos.decoded) == list(range(NUM_SAMPLES))


def test_filenames_with_spaces_and_unicode(tmp_path):
    for name in ("a b", "ü-ñ-鹿", "it's"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    sequence = ko.ImageFolderSequence(
        ko.Manifest.from_directory(tmp_path, labels=None), image_size=4, cache=tmp_path / "cache ü"
    )
    filled(sequence)

    assert sorted(ko.open_packed(tmp_path / "cache ü").file_paths) == sorted(sequence.file_paths)


def test_one_sample(tmp_path):
    Image.new("RGB", (4, 4), (70, 70, 70)).save(tmp_path / "only.png")
    sequence = ko.ImageFolderSequence(
        ["only.png"], labels=[0], directory=tmp_path, image_size=4, cache=tmp_path / "cache"
    )
    filled(sequence)

    assert ko.open_packed(tmp_path / "cache")[0][0].max() == 70


def test_cache_inside_the_data_directory_is_not_a_class(open_photos, photos):
    for _ in range(2):
        train, val = open_photos(cache=photos / "cache").split(validation_split=0.3)
        assert train.class_names == CLASS_NAMES
        filled(train), filled(val)
    assert open_photos(cache=photos / "another").class_names == CLASS_NAMES
    assert open_photos(cache=None).class_names == CLASS_NAMES


def test_stored_labels_remain_if_the_arguments_have_none(open_photos, photos, tmp_path):
    filled(open_photos())
    names = ko.Manifest.load(tmp_path / "cache").filenames
    ko.ImageFolderSequence(names, labels=None, directory=photos, image_size=SIZE, cache=tmp_path / "cache")

    assert ko.open_packed(tmp_path / "cache").class_names == CLASS_NAMES


def test_overwrite_cache_replaces_stored_labels_and_filenames(open_photos, photos, tmp_path):
    filled(open_photos()).close()
    others = ["cat/9.png", "bee/5.png"]
    filled(
        ko.ImageFolderSequence(
            others, labels=None, directory=photos, image_size=SIZE, cache=tmp_path / "cache", overwrite_cache=True
        )
    ).close()

    packed = ko.open_packed(tmp_path / "cache", shuffle=False)
    assert (packed.filenames(0), packed.labels, numbers_in(packed[0])) == (others, None, [9, 5])


def test_pack_with_overwrite_cache_after_files_changed(open_photos, photos, tmp_path):
    sequence = filled(open_photos(shuffle=False))
    draw(photos / "ant" / "0.png", 20)
    with pytest.raises(SampleError, match="its file changed after"):
        sequence[0]
    sequence.pack(tmp_path / "cache", overwrite_cache=True)

    assert numbers_in(sequence[0][0]) == [20, 1, 2, 3]


def test_pack_while_threads_read_ahead(open_photos, tmp_path, monkeypatch):
    sequence = open_photos(workers=2)
    sequence[0], sequence[1]
    sequence.pack(tmp_path / "cache")

    ko.open_packed(tmp_path / "cache").verify()


def test_relative_directory_after_changing_the_working_directory(open_photos, tmp_path, monkeypatch):
    filled(open_photos()).close()
    monkeypatch.chdir(tmp_path)
    packed = ko.open_packed("cache", shuffle=False)
    monkeypatch.chdir("/")

    packed.verify()
    assert np.array_equal(copy.deepcopy(packed)[0][0], packed[0][0])
