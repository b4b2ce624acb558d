"""What a notebook shows of every kind of Sequence, without a change of the position in the data."""

import copy
import shutil

import inside_sequence as inside
import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko

SCRIPT = "<script>x"


@pytest.fixture
def folder(tmp_path):
    """Class folders of images and of `.npy` files."""
    for number in range(12):
        for kind in ("photos", "arrays"):
            path = tmp_path / kind / ("cat", SCRIPT)[number % 2] / f"{number:02d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((6, 8, 3), number, np.uint8)
            Image.fromarray(image).save(f"{path}.png") if kind == "photos" else np.save(f"{path}.npy", image)
    return tmp_path


def images(folder, **options):
    return ko.ImageFolderSequence(
        folder / "photos", **{"image_size": 4, "batch_size": 2, "seed": 0, "workers": 2, **options}
    )


def arrays(folder, **options):
    return ko.NpyManifestSequence(folder / "arrays", label_mode="int", batch_size=2, seed=0, **options)


def packed(folder):
    return ko.open_packed(images(folder).pack(folder / "packed"), batch_size=2, seed=0)


def rows(folder, **options):
    x = np.arange(12 * 6 * 8, dtype="float32").reshape(12, 6, 8)
    names = ["cat", SCRIPT, "owl"]
    return ko.ArraySequence(x, np.arange(12) % 3, "int", names, **{"batch_size": 2, "seed": 0, **options})


KINDS = {
    "images": images,
    "cached": lambda folder: images(folder, cache=folder / "cache"),
    "partition": lambda folder: images(folder).partition(2)[1],
    "arrays": arrays,
    "packed": packed,
    "rows": rows,
    "skipping": lambda folder: images(folder, on_error="skip", shuffle="block"),
}


def state(sequence):
    """Everything about the position in the data, and what was served."""
    made = sequence._made
    return {
        "pass": repr({name: value for name, value in vars(sequence._pass).items() if name != "_lock"}),
        "made": made,
        "ahead": None if made is None else made.loader.num_workers,
        "samples": sequence.served_samples.tolist(),
        "bad": sequence.bad_samples,
        "doubtful": sequence.doubtful_samples,
        "last": sequence._last_read,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_and_at_most_eight_files(folder, kind, opened_files):
    sequence = KINDS[kind](folder)
    opened_files.clear()
    shown = sequence._repr_html_()

    assert shown.count("<img") == min(8, sequence.num_samples)
    assert len(opened_files) <= 8
    assert f"<b>{type(sequence).__name__}</b>" in shown
    assert "seed=0" in shown
    assert "<script" not in shown
    assert "&lt;script&gt;x" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_the_position_does_not_change(folder, kind):
    sequence, same = KINDS[kind](folder), copy.copy(KINDS[kind](folder))
    before = state(sequence)
    assert sequence._repr_html_()
    assert state(sequence) == before
    assert sequence._made is None or not inside.threads(sequence)

    for number, (batch, other) in enumerate(zip(sequence, same, strict=True)):  # in the middle of a pass
        if number < 3:
            before = state(sequence)
            assert sequence._repr_html_()
            assert state(sequence) == before
        np.testing.assert_array_equal(batch[0], other[0])
    assert sequence.served_samples.tolist() == same.served_samples.tolist()


def test_the_cache_stays_empty(folder):
    sequence = images(folder, cache=folder / "cache")

    assert "contains 0 of them" in sequence._repr_html_()
    assert not (folder / "cache").exists()


def test_damaged_and_missing_files_have_no_thumbnail(folder):
    sequence, other = images(folder), arrays(folder)
    (folder / "photos" / "cat" / "00.png").write_bytes(b"damaged")
    (folder / "arrays" / "cat" / "00.npy").write_bytes(b"damaged")
    assert sequence._repr_html_().count("<img") == other._repr_html_().count("<img") == 7
    assert not sequence.bad_samples

    shutil.rmtree(folder)
    for opened in (sequence, other):
        assert "12 samples" in opened._repr_html_()
        assert "<img" not in opened._repr_html_()


def test_a_deleted_working_directory(folder, monkeypatch):
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    sequence = images(folder, cache=folder / "cache")
    (folder / "here").rmdir()

    assert sequence._repr_html_().count("<img") == 8
    assert repr(sequence)


def test_the_reader_of_a_user_is_not_called(folder):
    calls = []

    def reader(path):
        calls.append(path)
        return np.load(path)

    sequence = arrays(folder, reader=reader)
    calls.clear()

    assert "<img" not in sequence._repr_html_()
    assert not calls


def test_thousands_of_classes_are_counted():
    x, names = np.broadcast_to(np.uint8(0), (10**7, 2)), [f"class {i}" for i in range(5000)]
    labels = np.broadcast_to(np.int32(7), 10**7)
    shown = ko.ArraySequence(x, labels, "int", names)._repr_html_()

    assert "class 9 and 4,990 more" in shown
    assert len(shown) < 10_000


def test_csv(open_csv):
    shown = open_csv()._repr_html_()

    assert "<b>CSVChunkSequence</b>" in shown
    assert "houses.csv" in shown
    assert "<img" not in shown
