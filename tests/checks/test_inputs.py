"""What `ko.check` reads: directories, manifests, Sequences, caches, packed stores, and files that are not images."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture, save, scaled
from PIL import Image

import keras_oocore as ko


@pytest.fixture
def folder(tmp_path):
    """Pictures in the classes `cat` and `dog`. `cat/0.png` has a copy in each class."""
    for number in range(4):
        save(picture(number), tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png")
    save(scaled(picture(0)), tmp_path / "photos" / "dog" / "copy.png")
    shutil.copy(tmp_path / "photos/cat/0.png", tmp_path / "photos/cat/same.png")
    return tmp_path / "photos"


def files_of(report):
    return [copies.files for copies in report.duplicates]


COPIES = [("cat/0.png", "cat/same.png", "dog/copy.png")]


def test_a_manifest_is_checked_in_its_order(folder):
    manifest = ko.Manifest.from_directory(folder).shuffle(seed=1)

    report = ko.check(manifest)

    assert files_of(report) == COPIES
    same = manifest.filenames[np.bincount(report.groups).argmax() == report.groups]
    assert tuple(sorted(same)) == COPIES[0]


def test_a_saved_manifest_is_checked_by_its_directory(folder, tmp_path):
    ko.Manifest.from_directory(folder).save(tmp_path / "saved")

    assert files_of(ko.check(tmp_path / "saved")) == COPIES


def test_a_directory_without_class_folders_is_checked(folder):
    report = ko.check(folder / "cat")

    assert (report.num_files, report.class_counts) == (3, {})
    assert files_of(report) == [("0.png", "same.png")]
    assert any("have no classes" in note for note in report.not_checked)


def test_a_sequence_of_images_is_checked_by_its_files(folder):
    sequence = ko.ImageFolderSequence(folder, image_size=(8, 8))

    report = ko.check(sequence)

    assert files_of(report) == COPIES
    assert report.formats == {"PNG": 6}


def test_a_partition_is_checked_alone(folder):
    first, second = ko.ImageFolderSequence(folder, batch_size=1, shuffle=False).partition(2)

    assert ko.check(first).num_files + ko.check(second).num_files == 6
    assert files_of(ko.check(first)) == [("cat/0.png", "cat/same.png")]


def test_a_full_cache_is_checked_without_its_files(folder, tmp_path):
    sequence = ko.ImageFolderSequence(folder, image_size=(96, 96), cache=tmp_path / "cache")
    for _ in sequence:
        pass
    sequence.close()
    shutil.rmtree(folder)

    report = ko.check(sequence)

    assert files_of(report) == COPIES
    assert (report.formats, report.sizes) == ({}, {})
    assert any("true sizes, formats and endings" in note for note in report.not_checked)


def test_a_cache_that_is_not_full_is_not_used(folder, tmp_path):
    sequence = ko.ImageFolderSequence(folder, image_size=(96, 96), batch_size=1, cache=tmp_path / "cache")
    sequence.load_batch(0)

    assert ko.check(sequence).formats == {"PNG": 6}


def test_a_packed_store_is_checked_by_its_directory(folder, tmp_path):
    (folder / "cat" / "broken.png").write_bytes(b"not an image")
    sequence = ko.ImageFolderSequence(folder, image_size=(96, 96), on_error="skip")
    sequence.pack(tmp_path / "packed")

    for data in (tmp_path / "packed", ko.open_packed(tmp_path / "packed")):
        report = ko.check(data)
        assert files_of(report) == COPIES
        assert list(report.bad) == ["cat/broken.png"]
        assert report.class_counts == {"cat": 4, "dog": 3}


def test_files_are_compared_with_a_packed_store(folder, tmp_path):
    save(encoded(picture(1)), tmp_path / "val" / "dog" / "1.jpg")
    save(picture(8), tmp_path / "val" / "dog" / "8.jpg")
    ko.ImageFolderSequence(tmp_path / "val", image_size=(96, 96)).pack(tmp_path / "packed")

    report = ko.check(folder, against=tmp_path / "packed")

    assert [(leak.file, leak.other, leak.kind) for leak in report.leaks] == [("dog/1.png", "dog/1.jpg", "near")]


@pytest.fixture
def arrays(tmp_path):
    for number in range(3):
        path = tmp_path / "arrays" / "a" / f"{number}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((4, 5), number, np.float32))
    shutil.copy(tmp_path / "arrays/a/1.npy", tmp_path / "arrays/a/copy.npy")
    (tmp_path / "arrays/a/half.npy").write_bytes((tmp_path / "arrays/a/2.npy").read_bytes()[:-8])
    return tmp_path / "arrays"


@pytest.mark.parametrize("kind", ["directory", "sequence"])
def test_npy_files_have_exact_copies_and_unreadable_ones(arrays, kind):
    data = arrays
    if kind == "sequence":
        names = sorted(os.listdir(arrays / "a"))
        data = ko.NpyManifestSequence([f"a/{name}" for name in names], labels=None, directory=arrays)

    report = ko.check(data)

    assert [(copies.kind, copies.files) for copies in report.duplicates] == [("exact", ("a/1.npy", "a/copy.npy"))]
    assert list(report.bad) == ["a/half.npy"]
    assert "truncated" in report.bad["a/half.npy"]
    assert report.formats == {".npy": 5}
    assert any("Near copies" in note for note in report.not_checked)


def test_files_of_an_unknown_format_have_exact_copies(tmp_path):
    for name, content in {"a.wav": b"one", "b.wav": b"two", "c.wav": b"one", "d.wav": b""}.items():
        (tmp_path / name).write_bytes(content)
    manifest = ko.Manifest.from_arrays(["a.wav", "b.wav", "c.wav", "d.wav"], directory=tmp_path)

    report = ko.check(manifest)

    assert files_of(report) == [("a.wav", "c.wav")]
    assert report.bad == {"d.wav": "empty file"}
    assert any("reader=function" in note for note in report.not_checked)


def test_images_without_an_ending_are_images(tmp_path):
    save(picture(0), tmp_path / "a", format="PNG")
    save(scaled(picture(0)), tmp_path / "b", format="JPEG")

    assert files_of(ko.check(ko.Manifest.from_arrays(["a", "b"], directory=tmp_path))) == [("a", "b")]


def test_a_file_that_is_named_twice_is_a_copy_of_itself(folder):
    manifest = ko.Manifest.from_arrays(["cat/2.png", "cat/2.png", "dog/1.png"], directory=folder)

    report = ko.check(manifest)

    assert files_of(report) == [("cat/2.png", "cat/2.png")]
    assert manifest.without(report.duplicates).filenames.tolist() == ["cat/2.png", "dog/1.png"]


def test_names_that_are_not_ascii(tmp_path):
    names = ["Äpfel/ß é.png", "Äpfel/日本.png", os.fsdecode(b"\xff\xfe/broken\xe9.png")]
    for name in names[:2]:
        save(picture(0), tmp_path / name)
    save(picture(1), tmp_path / names[2])

    report = ko.check(tmp_path)

    assert files_of(report) == [tuple(names[:2])]
    assert list(report.class_counts) == sorted({Path(name).parts[0] for name in names})
    repr(report).encode("utf-8")


@pytest.mark.parametrize("data", [np.zeros((3, 8, 8, 3), np.uint8), 3, None])
def test_other_data_is_an_error_that_says_what_to_pass(data):
    with pytest.raises(ko.OptionError, match="`data` should be a directory, a Manifest, a Sequence of files, or"):
        ko.check(data)


def test_rows_of_an_array_are_an_error(folder):
    sequence = ko.ArraySequence(np.zeros((3, 8, 8, 3), np.uint8), labels=None)
    with pytest.raises(ko.OptionError, match="`against` should be a directory"):
        ko.check(folder, against=sequence)


@pytest.mark.parametrize(("argument", "value"), [("workers", 0), ("mirrored", "yes")])
def test_invalid_options(folder, argument, value):
    with pytest.raises(ko.OptionError, match=f"`{argument}` should be"):
        ko.check(folder, **{argument: value})


def test_gray_and_color_versions_are_copies(tmp_path):
    save(picture(0), tmp_path / "color.png")
    save(picture(0).convert("L"), tmp_path / "gray.png")
    save(picture(0).convert("P"), tmp_path / "palette.png")
    save(picture(0).convert("RGBA"), tmp_path / "alpha.png")
    save(Image.fromarray(np.asarray(picture(0).convert("L")).astype(np.uint16) * 257), tmp_path / "wide.png")

    assert [len(files) for files in files_of(ko.check(tmp_path))] == [5]
