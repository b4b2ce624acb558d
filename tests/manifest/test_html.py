"""A manifest in a notebook: classes and thumbnails, quick for millions of samples."""

import shutil

import numpy as np
import pytest
from PIL import Image

from keras_oocore.manifest.manifest import Manifest

SCRIPT = "<script>x"


@pytest.fixture
def photos(tmp_path):
    for number in range(12):
        path = tmp_path / "photos" / ("cat", SCRIPT)[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 8), (number, 0, 0)).save(path)
    return tmp_path / "photos"


def test_classes_and_thumbnails_of_eight_files(photos, opened_files):
    shown = Manifest.from_directory(photos)._repr_html_()

    assert "12 samples of 2 classes" in shown
    assert shown.count("<img") == len(opened_files) == 8
    assert "50.0%" in shown
    assert "<script" not in shown
    assert "&lt;script&gt;x" in shown


def test_files_that_cannot_be_read_have_no_thumbnail(photos):
    manifest = Manifest.from_directory(photos)
    (photos / "cat" / "00.png").write_bytes(b"damaged")
    assert manifest._repr_html_().count("<img") == 7

    shutil.rmtree(photos)
    assert "12 samples" in manifest._repr_html_()
    assert "<img" not in manifest._repr_html_()


def test_files_that_are_not_images_are_not_read(tmp_path, opened_files):
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    assert "1 sample" in Manifest.from_arrays(["a.wav"], directory=tmp_path)._repr_html_()
    assert not opened_files


def test_thousands_of_classes_and_ten_million_samples():
    """The arrays take no memory. Nothing here makes a list of all samples."""
    filenames, labels = np.broadcast_to("a.png", 10**7), np.broadcast_to(np.int32(4999), 10**7)
    shown = Manifest(filenames, labels, [f"class {i}" for i in range(5000)], "/missing")._repr_html_()

    assert "10,000,000 samples of 5,000 classes" in shown
    assert "… and 4,988 more" in shown
    assert len(shown) < 20_000


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (None, None),
        ([0.5, 1.5], None),
        ([[0, 1], [1, 1]], ["a", "b"]),
        ([3, 1], ["a", "b"]),  # not checked by the constructor
        ([-1, 1], ["a", "b"]),
        ([0, 1], None),
    ],
)
def test_any_labels(tmp_path, labels, names):
    Image.new("RGB", (6, 8)).save(tmp_path / "a.png")
    labels = None if labels is None else np.array(labels)

    assert Manifest(["a.png", "b.png"], labels, names, tmp_path)._repr_html_().count("<img") == 1


def test_an_empty_manifest():
    assert "0 samples" in Manifest.from_arrays(["a.png"], ["a"]).take([])._repr_html_()


def test_summary_is_a_string_that_is_shown_as_a_table(photos):
    summary = Manifest.from_directory(photos).summary()

    assert isinstance(summary, str)
    assert "\nformats: 12 .png" in summary
    assert "<table" in summary._repr_html_()
    assert "<script" not in summary._repr_html_()
