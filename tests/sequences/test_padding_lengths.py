"""Arrays of different lengths: padded to the longest of a batch, or to one length, with their lengths."""

import pickle

import keras
import numpy as np
import pytest
from several_arrays import as_bytes

import keras_oocore as ko

LENGTHS = [3, 7, 1, 5, 2, 6, 4, 9, 8, 3]


def array_of(number):
    return np.full((LENGTHS[number], 2), number + 1, "float32")


@pytest.fixture
def folder(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number in range(10):
        np.save(files / f"{number}.npy", array_of(number))
    return files


def opened(folder, **options):
    names = [f"{number}.npy" for number in range(10)]
    return ko.NpyManifestSequence(
        names, **{**dict(labels=range(10), directory=folder, batch_size=4, seed=3), **options}
    )


def require_padded(x, y, length, value=0):
    """Check that each row has its array, followed by padding."""
    assert x.shape == (len(y), length, 2)
    for row, number in zip(x, y.tolist(), strict=True):
        assert np.array_equal(row[: LENGTHS[number]], array_of(number))
        assert (row[LENGTHS[number] :] == value).all()


def test_each_batch_is_as_long_as_its_longest_sample(folder):
    lengths = set()
    for x, y in opened(folder, pad="batch"):
        length = max(LENGTHS[number] for number in y.tolist())
        require_padded(x, y, length)
        assert x.flags.c_contiguous
        lengths.add(length)
    assert len(lengths) > 1


def test_pad_to_gives_all_batches_one_shape(folder):
    for x, y in opened(folder, pad_to=12, pad_value=-1):
        require_padded(x, y, 12, -1)
    for x, y in opened(folder, pad_to=(9, 2)):
        require_padded(x, y, 9)


def test_lengths_are_an_input_on_demand(folder):
    for options, length in ((dict(pad="batch"), None), (dict(pad_to=10), 10)):
        for x, y in opened(folder, lengths=True, **options):
            assert list(x) == ["array", "lengths"]
            assert x["lengths"].tolist() == [LENGTHS[number] for number in y.tolist()]
            assert x["lengths"].dtype == np.int32
            require_padded(x["array"], y, length or max(x["lengths"]))


def test_dtype_and_rescale_apply_to_the_array(folder):
    (x, y), *_ = opened(folder, pad="batch", lengths=True, rescale=2, dtype="float16")
    assert (x["array"].dtype, x["lengths"].dtype) == (np.float16, np.int32)
    assert x["array"][:, 0, 0].tolist() == [2 * (number + 1) for number in y.tolist()]


def test_without_padding_the_error_says_what_to_type(folder):
    with pytest.raises(ko.SampleError, match=r'Received: shape \(7, 2\).*pass pad="batch", or pad_to=LENGTH'):
        list(opened(folder, shuffle=False))
    with pytest.raises(ko.SampleError, match=r'array of shape \(7, 2\).*pass pad="batch", or pad_to=LENGTH'):
        list(opened(folder, shuffle=False, reader=np.load))


def test_an_array_that_is_too_long_is_named(folder):
    with pytest.raises(ko.SampleError, match=r"7\.npy.*shape \(9, 2\), which is larger than pad_to=\(8, 2\)"):
        list(opened(folder, pad_to=8))
    kept = opened(folder, pad_to=8, on_error="skip")
    assert sorted(number for _, y in kept for number in y.tolist()) == [0, 1, 2, 3, 4, 5, 6, 8, 9]


@pytest.mark.parametrize("pad", [dict(pad="batch"), dict(pad_to=9, lengths=True)])
def test_the_same_bytes_for_any_workers_after_a_resume_and_a_pickle(folder, pad):
    expected = as_bytes(opened(folder, workers=0, **pad))
    assert as_bytes(opened(folder, workers=3, **pad)) == expected
    assert as_bytes(pickle.loads(pickle.dumps(opened(folder, **pad)))) == expected
    sequence, again = opened(folder, **pad), opened(folder, **pad)
    for _ in sequence:
        state = sequence.state_dict()
        break
    again.load_state_dict(state)
    assert as_bytes(again) == expected[1:]


@pytest.mark.parametrize("pad", [dict(pad="batch"), dict(pad_to=9), dict(pad="batch", lengths=True)])
def test_a_cache_and_a_packed_store_alone_have_the_same_batches(folder, tmp_path, pad):
    expected = as_bytes(opened(folder, **pad))
    for _ in range(2):
        with opened(folder, cache=tmp_path / "cache", **pad) as sequence:
            assert as_bytes(sequence) == expected
    opened(folder, **pad).pack(tmp_path / "packed")
    for file in folder.iterdir():
        file.unlink()
    assert as_bytes(ko.open_packed(tmp_path / "packed", batch_size=4, seed=3)) == expected
    with pytest.raises(ko.OptionError, match="`normalization` would count the padding"):
        ko.open_packed(tmp_path / "packed").normalization()


def test_a_cache_remembers_the_longest_array(folder, tmp_path, monkeypatch):
    with opened(folder, pad="batch", cache=tmp_path / "cache") as sequence:
        expected = as_bytes(sequence)

    def read_again(*arguments):
        raise AssertionError("the headers of all files are read again")

    monkeypatch.setattr("keras_oocore.sequences.npy_manifest.longest_array", read_again)
    assert as_bytes(opened(folder, pad="batch", cache=tmp_path / "cache")) == expected
    np.save(folder / "3.npy", np.ones((20, 2), "float32"))
    with pytest.raises(ko.DataError, match=r"1 of 10 files changed after they were stored .*3\.npy"):
        list(opened(folder, pad="batch", cache=tmp_path / "cache"))
    monkeypatch.undo()
    renewed = opened(folder, pad="batch", cache=tmp_path / "cache", overwrite_cache=True)
    assert max(x.shape[1] for x, _ in renewed) == 20


def test_shards_have_equal_shapes_or_are_refused(folder):
    whole = opened(folder, pad_to=9, last_batch="drop")
    shards = [opened(folder, pad_to=9, last_batch="drop").shard(index, 2) for index in range(2)]
    for (x, _), (first, _), (second, _) in zip(whole, *shards, strict=True):
        assert np.array_equal(x, np.concatenate([first, second]))
    with pytest.raises(ko.OptionError, match=r'Use pad_to=LENGTH without `pad`. Received: pad="batch"'):
        opened(folder, pad="batch", last_batch="drop").shard(0, 2)


def test_parts_of_a_split_are_cut_to_their_own_batches(folder):
    train, val = opened(folder, pad="batch").split(0.3, seed=0)
    seen = []
    for part in (train, val):
        for x, y in part:
            require_padded(x, y, max(LENGTHS[number] for number in y.tolist()))
            seen += y.tolist()
    assert sorted(seen) == list(range(10))


def test_inputs_of_a_reader_are_padded_by_their_names(folder):
    def both(path):
        array = np.load(path)
        return {"audio": array[:, 0], "level": array[0]}, len(array)

    x, y = opened(folder, labels=None, reader=both, pad="batch", pad_to={"audio": 9}, lengths=True, shuffle=False)[0]
    assert list(x) == ["audio", "level", "lengths"]
    assert x["audio"].shape == (4, 7)
    assert x["lengths"].tolist() == y.tolist() == LENGTHS[:4]
    with pytest.raises(
        ko.OptionError, match=r"`pad_to` is a dictionary.*Received: pad_to=9 for x_audio float32 \(3,\)"
    ):
        opened(folder, labels=None, reader=both, pad_to=9)
    with pytest.raises(ko.OptionError, match=r"Expected: 'audio', 'level'. Received: 'video'"):
        opened(folder, labels=None, reader=both, pad_to={"video": 9})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(pad="all"), "`pad` should be one of 'batch'. Received: pad='all'"),
        (dict(pad_to=0), r"`pad_to` should be the largest length.*Received: pad_to=0"),
        (dict(pad_to=(1, 2, 3)), r"one length per axis, 2 of them.*Received: pad_to=\(1, 2, 3\)"),
        (dict(lengths=True), r'`lengths` is for arrays that are padded: pass pad="batch"'),
        (dict(pad_value=5), r"`pad_value` is for arrays that are padded"),
        (dict(pad_to=9, pad_value="x"), r"`pad_value` should be a value of dtype float32. Received: pad_value='x'"),
        (dict(pad="batch", reader=np.load), r"requires the largest length of all files: pass pad_to=LENGTH"),
    ],
)
def test_wrong_options_are_refused_by_name(folder, options, message):
    with pytest.raises(ko.OptionError, match=message):
        opened(folder, **options)


def test_images_of_different_sizes_are_padded_on_both_axes(folder):
    def image(path):
        return np.ones((len(np.load(path)), 2, 3), "uint8")

    x, y = opened(folder, reader=image, pad_to=(9, 4, 3), shuffle=False)[0]
    assert x.shape == (4, 9, 4, 3)
    assert x.sum(axis=(1, 2, 3)).tolist() == [6 * LENGTHS[number] for number in y.tolist()]


def test_empty_and_damaged_files_do_not_set_the_length(folder):
    np.save(folder / "2.npy", np.zeros((0, 2), "float32"))
    (folder / "7.npy").write_bytes(b"")
    served = opened(folder, pad="batch", on_error="skip", batch_size=1, shuffle=False)
    shapes = {int(y[0]): x.shape[1] for x, y in (served[index] for index in (0, 1, 2, 8))}
    assert shapes == {0: 3, 1: 7, 2: 1, 8: 8}


@pytest.mark.backend
def test_a_recurrent_model_is_trained_on_batches_of_different_lengths(folder):
    array, lengths = keras.Input((None, 2), name="array"), keras.Input((), dtype="int32", name="lengths")
    mask = keras.layers.Lambda(
        lambda inputs: keras.ops.arange(keras.ops.shape(inputs[0])[1]) < inputs[1][:, None],
        output_shape=(None,),
        mask=lambda inputs, mask: None,
    )([array, lengths])
    mean = keras.layers.SimpleRNN(3)(array, mask=mask)
    model = keras.Model({"array": array, "lengths": lengths}, keras.layers.Dense(1)(mean))
    model.compile("sgd", "mse")
    history = model.fit(opened(folder, pad="batch", lengths=True), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert len(ko.predict(model, opened(folder, pad="batch", lengths=True))["file"]) == 10
