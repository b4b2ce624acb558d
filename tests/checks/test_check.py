"""`ko.check`: bad files, copies, conflicts, leaks and unusual images in a folder that was made for it."""

import shutil

import numpy as np
import pytest
from pictures import CHANGES, cut, picture, save, scaled
from PIL import Image, ImageFilter

import keras_oocore as ko


@pytest.fixture
def folder(tmp_path):
    """Six different pictures in the classes `cat` and `dog`."""
    for number in range(6):
        save(picture(number), tmp_path / "train" / ("cat", "dog")[number % 2] / f"{number}.png")
    return tmp_path / "train"


def groups(report):
    return [(copies.kind, copies.files) for copies in report.duplicates]


def test_sound_files_give_a_report_without_findings(folder):
    report = ko.check(folder, mirrored=True)

    assert not report.found
    assert (report.num_files, report.class_counts) == (6, {"cat": 3, "dog": 3})
    assert (report.formats, report.sizes) == ({"PNG": 6}, {(120, 160): 6})
    assert report.groups.tolist() == [0, 1, 2, 3, 4, 5]
    assert report.groups.dtype == np.int64
    assert "nothing was found" in repr(report)


def test_unreadable_files_have_reasons(folder):
    (folder / "cat" / "empty.png").touch()
    (folder / "cat" / "page.jpg").write_bytes(b"<html>404</html>")
    whole = (folder / "cat" / "0.png").read_bytes()
    (folder / "dog" / "half.png").write_bytes(whole[: len(whole) // 2])

    report = ko.check(folder)

    assert list(report.bad) == ["cat/empty.png", "cat/page.jpg", "dog/half.png"]
    assert report.bad["cat/empty.png"] == "empty file"
    assert "not an image that can be decoded: it starts with b'<html>" in report.bad["cat/page.jpg"]
    assert report.paths["dog/half.png"] == str(folder / "dog" / "half.png")
    assert report.found
    assert report.duplicates == []


def test_doubtful_pixels_are_bad_too(folder):
    pytest.importorskip("simplejpeg")
    save(picture(9), folder / "cat" / "9.jpg", quality=90)
    content = bytearray((folder / "cat" / "9.jpg").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    (folder / "cat" / "9.jpg").write_bytes(content)

    assert "may be damaged: Corrupt JPEG data" in ko.check(folder).bad["cat/9.jpg"]


def test_files_of_equal_content_are_exact_copies(folder):
    shutil.copy(folder / "cat" / "2.png", folder / "cat" / "10.png")
    shutil.copy(folder / "cat" / "2.png", folder / "cat" / "z.png")

    report = ko.check(folder)

    assert groups(report) == [("exact", ("cat/10.png", "cat/2.png", "cat/z.png"))]
    names = ko.Manifest.from_directory(folder).filenames.tolist()
    same = {names[i] for i in np.flatnonzero(report.groups == report.groups[names.index("cat/2.png")])}
    assert same == {"cat/10.png", "cat/2.png", "cat/z.png"}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_pictures_are_near_copies(folder, change):
    save(CHANGES[change](picture(0)), folder / "cat" / "copy.png")

    assert groups(ko.check(folder)) == [("near", ("cat/0.png", "cat/copy.png"))]


def test_mirrored_copies_are_found_on_request(folder):
    save(picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), folder / "cat" / "copy.png")

    without = ko.check(folder)

    assert not without.found
    assert any("mirrored=True" in note for note in without.not_checked)
    assert groups(ko.check(folder, mirrored=True)) == [("mirrored", ("cat/0.png", "cat/copy.png"))]


def test_a_mirrored_and_cropped_copy_is_found(folder):
    copy = cut(picture(0), 0.025, 0.025, 0.025, 0.025).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    save(copy, folder / "cat" / "copy.png")

    assert groups(ko.check(folder, mirrored=True)) == [("mirrored", ("cat/0.png", "cat/copy.png"))]


def test_copies_of_different_classes_are_conflicts(folder):
    save(scaled(picture(0)), folder / "dog" / "copy.png")
    shutil.copy(folder / "cat" / "2.png", folder / "cat" / "copy.png")

    report = ko.check(folder)

    assert [copies.files for copies in report.duplicates] == [
        ("cat/0.png", "dog/copy.png"),
        ("cat/2.png", "cat/copy.png"),
    ]
    assert [(copies.files, copies.classes) for copies in report.conflicts] == [
        (("cat/0.png", "dog/copy.png"), ("cat", "dog"))
    ]
    assert "1 group of copies has different classes: such as 'cat/0.png' (cat) and 'dog/copy.png' (dog)" in repr(report)


def test_copies_in_other_data_are_leaks(folder, tmp_path):
    val = tmp_path / "val"
    save(scaled(picture(1)), val / "dog" / "a.jpg")
    (val / "cat").mkdir()
    shutil.copy(folder / "cat" / "2.png", val / "cat" / "b.png")
    save(picture(7), val / "cat" / "other.png")

    report = ko.check(folder, against=val)

    found = {(leak.file, leak.other, leak.kind, leak.classes) for leak in report.leaks}
    assert found == {
        ("cat/2.png", "cat/b.png", "exact", ("cat", "cat")),
        ("dog/1.png", "dog/a.jpg", "near", ("dog", "dog")),
    }
    assert report.paths_against == {"cat/b.png": str(val / "cat/b.png"), "dog/a.jpg": str(val / "dog/a.jpg")}
    assert report.duplicates == []
    assert report.num_files == len(report.groups) == 6
    assert report.against == str(val)
    assert "2 files have copies in" in repr(report)


def test_an_exact_copy_counts_before_a_near_one(folder, tmp_path):
    save(scaled(picture(0)), tmp_path / "val" / "cat" / "a.png")
    shutil.copy(folder / "cat" / "0.png", tmp_path / "val" / "cat" / "b.png")

    (leak,) = ko.check(folder, tmp_path / "val").leaks
    assert (leak.other, leak.kind) == ("cat/b.png", "exact")


def test_unusual_images_are_named_with_details(folder):
    save(Image.new("RGB", (160, 120), (255, 255, 255)), folder / "cat" / "white.png")
    dark = np.asarray(picture(11)).astype(float) / 12
    save(Image.fromarray(dark.astype(np.uint8)), folder / "cat" / "dark.png")
    save(picture(12).filter(ImageFilter.GaussianBlur(4)), folder / "dog" / "blurred.png")
    save(picture(13, 12, 400), folder / "dog" / "strip.png")
    save(picture(14), folder / "dog" / "lie.png", format="JPEG")

    unusual = ko.check(folder).unusual

    assert {kind: list(files) for kind, files in unusual.items()} == {
        "blank": ["cat/white.png"],
        "very dark": ["cat/dark.png"],
        "blurred": ["dog/blurred.png"],
        "odd size": ["dog/strip.png"],
        "wrong ending": ["dog/lie.png"],
    }
    assert unusual["odd size"]["dog/strip.png"] == "12x400 pixels (height x width); the median is 120x160"
    assert unusual["wrong ending"]["dog/lie.png"] == "it ends in .png, but it is a JPEG file"


def test_images_of_one_color_are_one_group(folder):
    for number, level in enumerate((0, 255, 128)):
        save(
            Image.new("RGB", (160, 120 + number), (level,) * 3), folder / ("cat", "dog")[number % 2] / f"b{number}.png"
        )

    report = ko.check(folder)

    assert groups(report) == [("blank", ("cat/b0.png", "cat/b2.png", "dog/b1.png"))]
    assert report.conflicts == report.duplicates
