"""Batches of samples that have several arrays each: inputs by name, and the answer."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from several_arrays import NUM_SAMPLES, RowReader, as_bytes, image_of, opened, require_whole, write_files

import keras_oocore as ko


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path / "files")


def numbers_of(sequence):
    return [number for batch in sequence for number in require_whole(batch)]


def test_a_batch_has_one_contiguous_array_per_name(folder):
    x, y = opened(folder)[0]

    assert list(x) == ["image", "table"]
    assert (x["image"].shape, x["image"].dtype) == ((4, 4, 5, 3), np.uint8)
    assert (x["table"].shape, x["table"].dtype, y.shape, y.dtype) == ((4, 2), np.float32, (4,), np.int32)
    assert all(array.flags.c_contiguous and array.flags.aligned for array in (*x.values(), y))


def test_every_sample_is_served_once_and_whole_for_any_number_of_workers(folder):
    expected = as_bytes(opened(folder, workers=0))
    for workers in (1, 3):
        sequence = opened(folder, workers=workers)
        assert as_bytes(sequence) == expected
    assert sorted(numbers_of(opened(folder))) == list(range(NUM_SAMPLES))


def test_rescale_dtype_and_data_format_apply_to_the_image_alone(folder):
    def half(image):
        return image.astype("f4") * np.float32(0.5)

    for batch in opened(folder, rescale=0.5):
        require_whole(batch, half)
        assert batch[0]["image"].dtype == np.float32
    x, y = opened(folder, dtype="float16")[0]
    assert (x["image"].dtype, x["table"].dtype, y.dtype) == (np.float16, np.float32, np.int32)


def test_rescale_without_an_image_is_refused_by_name(folder):
    class Numbers(RowReader):
        dtype = np.dtype([("x0", "f4", (2,)), ("x1", "i4", (3,))])

        def read_into(self, path, out):
            out["x0"], out["x1"] = 1, 2

    (x,) = opened(folder, Numbers())[0]
    assert [part.shape for part in x] == [(4, 2), (4, 3)]
    with pytest.raises(ko.OptionError, match=r"`rescale` applies to images.*Received: rescale=2 for x0 float32 \(2,\)"):
        opened(folder, Numbers(), rescale=2)
    with pytest.raises(ko.OptionError, match=r'the one that is called "image".*Received: x0 float32 \(2,\), x1 int32'):
        opened(folder, Numbers(), transform=ko.augment(flip="horizontal"))


def test_a_structured_dtype_with_other_names_is_refused_by_name(folder):
    class Other(RowReader):
        dtype = np.dtype([("image", "u1", (2,))])

    with pytest.raises(ko.DataError, match=r"should be named x, or x0.*Received: .* with the fields 'image'"):
        opened(folder, Other())


@pytest.mark.parametrize(("on_error", "num_served"), [("skip", 9), ("replace", 10)])
def test_unreadable_samples_are_skipped_or_replaced_whole(folder, on_error, num_served):
    (folder / "3.txt").write_text("not a number")
    sequence = opened(folder, on_error=on_error)

    served = numbers_of(sequence)
    assert len(served) == num_served
    assert set(served) == set(range(NUM_SAMPLES)) - {3}
    assert [name for name, _ in sequence.bad_samples] == [str(folder / "3.txt")]
    with pytest.raises(ko.SampleError, match=r"3\.txt"):
        list(opened(folder))


def test_a_transform_receives_all_inputs_and_augment_changes_the_image(folder):
    def doubled(x, y, rng):
        return {**x, "table": 2 * x["table"]}, y + 1

    x, y = opened(folder, transform=doubled, shuffle=False)[0]
    assert x["table"].tolist() == [[0, 0], [2, -2], [4, -4], [6, -6]]
    assert y.tolist() == [1, 2, 3, 1]

    flipped = opened(folder, transform=[ko.augment(crop=(2, 5)), doubled], shuffle=False)[0]
    assert flipped[0]["image"].shape == (4, 2, 5, 3)
    assert flipped[0]["table"].tolist() == x["table"].tolist()
    assert np.array_equal(flipped[1], y)


def test_per_sample_receives_the_inputs_of_one_sample(folder):
    @ko.per_sample
    def shifted(x, y, rng):
        return {**x, "table": x["table"] + 1}, y

    x, _ = opened(folder, transform=shifted, shuffle=False)[0]
    assert x["table"][:, 0].tolist() == [1, 2, 3, 4]


def test_a_padded_last_batch_repeats_all_arrays(folder):
    *_, (x, y, weight) = opened(folder, last_batch="pad", shuffle=False)

    assert require_whole((x, y)) == [8, 9, 8, 9]
    assert (weight[0], *weight[2:]) == (2, 0, 0)


def test_a_training_continues_with_the_same_bytes(folder):
    sequence, again = opened(folder), opened(folder)
    expected = list(opened(folder))
    for _ in sequence:
        state = sequence.state_dict()
        break
    again.load_state_dict(state)
    assert as_bytes(again) == as_bytes(expected[1:])


def test_shards_joined_are_the_batches_of_one_process(folder):
    whole = opened(folder, last_batch="drop")
    shards = [opened(folder, last_batch="drop").shard(index, 2) for index in range(2)]
    for batch, first, second in zip(whole, *shards, strict=True):
        assert require_whole(batch) == require_whole(first) + require_whole(second)


def test_parts_folds_and_pickles_have_whole_samples(folder):
    parts = opened(folder).partition(2)
    assert sorted(numbers_of(parts[0]) + numbers_of(parts[1])) == list(range(NUM_SAMPLES))
    train, val = opened(folder).split(0.3, seed=1)
    assert sorted(numbers_of(train) + numbers_of(val)) == list(range(NUM_SAMPLES))
    copied = pickle.loads(pickle.dumps(opened(folder)))
    assert as_bytes(copied) == as_bytes(opened(folder))


def test_a_cache_keeps_all_arrays_and_notices_a_changed_file(folder, tmp_path):
    cache = tmp_path / "cache"
    filling = opened(folder, cache=cache)
    expected = as_bytes(filling)
    filling.close()
    names = {path.name for path in cache.glob("*.npy")}
    assert {"x_image.npy", "x_table.npy", "y.npy", "source.npy"} <= names

    for workers in (0, 2):
        assert as_bytes(opened(folder, cache=cache, workers=workers)) == expected
    assert as_bytes(opened(folder)) == expected
    (folder / "3.txt").write_text("123")
    with pytest.raises(ko.DataError, match=r"1 of 10 files changed after they were stored .*3\.txt"):
        list(opened(folder, cache=cache))


def test_a_packed_store_alone_has_all_arrays(folder, tmp_path):
    opened(folder).pack(tmp_path / "packed")
    expected = as_bytes(opened(folder))
    for file in folder.iterdir():
        file.unlink()
    packed = ko.open_packed(tmp_path / "packed", batch_size=4, seed=7)

    packed.verify()
    assert as_bytes(packed) == expected
    assert sorted(numbers_of(packed)) == list(range(NUM_SAMPLES))
    image = np.load(tmp_path / "packed" / "x_image.npy", mmap_mode="r")
    assert np.array_equal(image[3], image_of(3))


def test_a_store_of_other_arrays_is_refused_and_replaced_on_request(folder, tmp_path):
    class OneInput(RowReader):
        dtype = np.dtype([("x", "f4", (2,)), ("y", "i4")], align=True)

        def read_into(self, path, out):
            out["x"] = out["y"] = int(Path(path).read_text())

    list(opened(folder, cache=tmp_path / "cache"))
    with pytest.raises(ko.DataError, match="stores other rows"):
        opened(folder, OneInput(), cache=tmp_path / "cache")
    replaced = opened(folder, OneInput(), cache=tmp_path / "cache", overwrite_cache=True)
    list(replaced)
    replaced.close()
    assert not (tmp_path / "cache" / "x_image.npy").exists()
    x, y = ko.open_packed(tmp_path / "cache", batch_size=10, shuffle=False)[0]
    assert x[:, 0].tolist() == y.tolist() == list(range(NUM_SAMPLES))


def test_what_a_notebook_shows(folder, capsys):
    sequence = opened(folder)

    assert "x_image uint8 (4, 4, 5, 3), x_table float32 (4, 2), y int32 (4,)" in repr(sequence)
    assert "no labels" not in repr(sequence)
    assert sequence.show_batch().axes
    assert sequence.profile(num_batches=3).num_batches == 3
    layers = sequence.normalization()
    assert np.ravel(layers["table"].input_mean).tolist() == [4.5, -4.5]


def test_memory_limit_counts_all_arrays(folder):
    batch_bytes = 4 * (60 + 8 + 4)
    with pytest.raises(ko.OptionError, match="too small for two batches"):
        opened(folder, memory_limit=batch_bytes)


@pytest.mark.backend
def test_a_model_of_two_inputs_is_trained_and_predicts_each_file(folder):
    image, table = keras.Input((4, 5, 3), name="image"), keras.Input((2,), name="table")
    features = keras.layers.Concatenate()([keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)), table])
    model = keras.Model({"image": image, "table": table}, keras.layers.Dense(3)(features))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train, val = (opened(folder, validation_split=0.4, subset=subset) for subset in ("training", "validation"))
    history = model.fit(train, validation_data=val, epochs=2, verbose=0)
    assert np.isfinite([*history.history["loss"], *history.history["val_loss"]]).all()

    same = keras.Model({"image": image, "table": table}, keras.layers.Rescaling(1.0)(table))
    found = ko.predict(same, opened(folder))
    assert found["file"].tolist() == [f"{number}.txt" for number in range(NUM_SAMPLES)]
    assert same.predict(opened(folder, shuffle=False), verbose=0)[:, 0].tolist() == list(range(NUM_SAMPLES))


def test_labels_beside_an_answer_that_is_read_are_refused_by_name(folder):
    names = [f"{number}.txt" for number in range(NUM_SAMPLES)]
    with pytest.raises(ko.OptionError, match=r"contain their answer `y`.*Pass labels=None. Received: labels of 10"):
        ko.NpyManifestSequence(names, labels=range(NUM_SAMPLES), directory=folder, reader=RowReader())


def test_sample_weight_belongs_to_an_answer_that_is_read(folder):
    for x, y, weight in opened(folder, sample_weight=np.arange(NUM_SAMPLES) / 4):
        assert (4 * weight).tolist() == require_whole((x, y))


def test_labels_of_an_earlier_store_do_not_replace_the_answer(folder, tmp_path):
    names = [f"{number}.txt" for number in range(NUM_SAMPLES)]
    ko.NpyManifestSequence(names, labels=range(NUM_SAMPLES), directory=folder, reader=number_in).pack(
        tmp_path / "store"
    )
    opened(folder).pack(tmp_path / "store", overwrite_cache=True)

    packed = ko.open_packed(tmp_path / "store", batch_size=4)
    assert sorted(numbers_of(packed)) == list(range(NUM_SAMPLES))


def number_in(path):
    return np.float32([int(Path(path).read_text())])


def test_an_executor_packs_the_same_bytes(folder, tmp_path):
    opened(folder).pack(tmp_path / "serial")
    with ThreadPoolExecutor(2) as executor:
        opened(folder).pack(tmp_path / "executor", executor=executor)

    names = {path.name for path in (tmp_path / "serial").glob("*.npy")}
    assert {"x_image.npy", "y.npy", "checksums.npy"} <= names
    for name in names:
        assert (tmp_path / "serial" / name).read_bytes() == (tmp_path / "executor" / name).read_bytes()


def test_check_looks_at_the_image_and_compares_whole_rows(folder, tmp_path):
    (folder / "4.txt").write_text("5 ")  # another file of the same arrays
    opened(folder).pack(tmp_path / "packed")
    report = ko.check(tmp_path / "packed")

    assert len(set(report.groups.tolist())) < NUM_SAMPLES
    assert report.groups[4] == report.groups[5]
    assert "of shape (4, 5, 3), (2,), ()" in str(report)


def test_images_have_channels_first_and_other_inputs_do_not(folder, tmp_path):
    opened(folder).pack(tmp_path / "packed")
    sequence = ko.open_packed(tmp_path / "packed", data_format="channels_first", batch_size=4)
    for batch in sequence:
        require_whole(batch, lambda image: np.moveaxis(image, -1, 0))
    assert sequence.show_batch().axes
