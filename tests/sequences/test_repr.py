"""What `repr` says about every kind of Sequence is what its batches have."""

import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko


def as_float(x, y, rng):
    return x / 255, y


@pytest.fixture
def photos(tmp_path):
    for number in range(6):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 8), (number, 0, 0)).save(path)
    return tmp_path / "photos"


def images(photos, **options):
    return ko.ImageFolderSequence(photos, **{"image_size": 4, "batch_size": 4, "seed": 0, "workers": 1, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(), "x uint8 (4, 4, 4, 3), y int32 (4,)\n"),
        (dict(rescale=0.5), "x float32 (4, 4, 4, 3), y int32 (4,)\n"),
        (dict(dtype="float16", label_mode="categorical"), "x float16 (4, 4, 4, 3), y float32 (4, 2)\n"),
        (dict(label_mode="binary", color_mode="grayscale"), "x uint8 (4, 4, 4, 1), y float32 (4, 1)\n"),
        (dict(data_format="channels_first", labels=None), "x uint8 (4, 3, 4, 4), no labels\n"),
        (dict(label_mode=None), "x uint8 (4, 4, 4, 3), no labels\n"),
        (dict(batch_size=32), "x uint8 (6, 4, 4, 3), y int32 (6,)\n"),
        (dict(class_weight="balanced"), "y int32 (4,), weights from class_weight float32 (4,)\n"),
        (dict(sample_weight=np.ones(6)), "y int32 (4,), sample_weight float32 (4,)\n"),
        (dict(transform=as_float), "x uint8 (4, 4, 4, 3), y int32 (4,); transform as_float may change them\n"),
        (
            dict(on_error="skip", last_batch="drop"),
            "1 batch of 4, shuffled, seed=0, on_error='skip', last_batch='drop'",
        ),
        (dict(), "  1 thread, 10 batches ahead"),
        (dict(workers=0), "  no thread, 0 batches ahead"),
        (dict(max_queue_size=1), "  1 thread, 1 batch ahead"),
    ],
)
def test_images(photos, options, words):
    sequence = images(photos, **options)
    text = repr(sequence)

    assert words in text
    batch = sequence[0]
    batch = batch if isinstance(batch, tuple) else (batch,)
    if "transform" not in options:
        for array in batch:
            assert f"{array.dtype} {array.shape}" in text


def test_files_without_a_directory_are_named_by_a_path(photos):
    paths = sorted(map(str, photos.rglob("*.png")))
    text = repr(ko.ImageFolderSequence(ko.Manifest.from_arrays(paths, [0, 1] * 3, directory=None)))

    assert f"files such as {paths[0]!r}\n" in text
    assert "None" not in text


def test_raw_labels(tmp_path):
    rows = ko.ArraySequence(np.zeros((5, 3), "float32"), np.zeros((5, 2)), batch_size=2, seed=0)

    assert "x float32 (2, 3), y float64 (2, 2)\n" in repr(rows)
    assert "no labels" in repr(ko.ArraySequence(np.zeros((5, 3)), None))
    assert "raw" not in repr(rows)


def test_parts_of_a_split_and_partitions(photos):
    train, val = images(photos, class_weight="balanced").split(validation_split=2, stratify=True)

    assert "weights from class_weight" in repr(train)
    assert "4 samples, 2 classes\n" in repr(train)
    assert "2 samples, 2 classes\n  1 batch of 4, in order, seed=0\n  x uint8 (2, 4, 4, 3), y int32 (2,)\n" in repr(val)
    first, _ = images(photos, batch_size=2).partition(2)
    assert f"{first.num_samples} samples, 2 classes, partition 0 of 2\n" in repr(first)


def test_cache_counts_the_samples_of_the_partition(photos, tmp_path):
    whole = images(photos, batch_size=1, cache=tmp_path / "cache")
    assert "contains 0 of them" in repr(whole)
    first, second = whole.partition(2)
    list(first)

    assert "contains 3 of them" in repr(first)
    assert "contains 0 of them" in repr(second)
    assert "contains 3 of them" in repr(whole)


def test_packed(photos, tmp_path):
    packed = ko.open_packed(images(photos).pack(tmp_path / "packed"), batch_size=4, transform=as_float)

    assert "x uint8 (4, 4, 4, 3), y int32 (4,); transform as_float may change them\n" in repr(packed)


def test_table(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,kind,y,w\n" + "".join(f"{i},{'uv'[i % 2]},{'red' if i % 2 else 'blue'},1\n" for i in range(10)))
    options = dict(batch_size=4, seed=0, workers=1)
    rows = ko.CSVChunkSequence(path, "y", ["a"], sample_weight="w", **options)
    x, y, weight = rows[0]

    assert "  x float32 (4, 1), target 'y' int32 (4,), sample_weight 'w' float32 (4,)\n" in repr(rows)
    assert (x.dtype, x.shape, y.dtype, y.shape, weight.shape) == (np.float32, (4, 1), np.int32, (4,), (4,))
    both = ko.CSVChunkSequence(path, ["a", "w"], ["kind"], transform=as_float, **options)
    assert "x int32 (4, 1), target 'a', 'w' float32 (4, 2); transform as_float may change them\n" in repr(both)
    train, val = rows.split(0.3)
    assert repr(train).startswith(f"<CSVChunkSequence: {train.num_rows} rows of the training part, from ")
    assert repr(val).startswith(f"<CSVChunkSequence: {val.num_rows} rows of the validation part, from ")


def test_table_with_rows_left_out_and_a_cache(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,2\n3,\n4,5\n")
    rows = ko.CSVChunkSequence(path, "y", missing="drop", batch_size=2, cache=tmp_path / "cache")

    assert "2 rows from" in repr(rows)
    assert "rows.csv', 1 left out\n" in repr(rows)
    assert "cache', opened with the first batch\n" in repr(rows)
    list(rows)
    assert "cache' contains all rows\n" in repr(rows)
    assert "parsed rows" not in repr(rows)
