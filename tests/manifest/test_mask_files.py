"""`mask_files`: the mask of each image is found by its name, or in the order of a list."""

import os
import re
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.mask_files import mask_files


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def images_in(folder):
    return Manifest.from_directory(folder / "images", None)


def found(folder, images=None, masks=None, is_whole=True):
    """Names of the masks in the order of the images."""
    images = images_in(folder) if images is None else images
    masks = mask_files(images, folder / "masks" if masks is None else masks, is_whole)
    return [os.path.relpath(path, folder / "masks") for path in masks.file_paths]


def test_the_mask_of_an_image_has_its_name_and_any_ending(tmp_path):
    touch(tmp_path, "images/b.jpg", "images/a.jpeg", "images/x/a.png", "images/c.d.png")
    touch(tmp_path, "masks/a.png", "masks/b.gif", "masks/x/a.TIF", "masks/c.d.bmp")

    assert found(tmp_path) == ["a.png", "b.gif", "c.d.bmp", "x/a.TIF"]


def test_parts_and_orders_of_a_manifest_find_their_masks(tmp_path):
    touch(tmp_path, *(f"images/{number}.png" for number in range(9)), *(f"masks/{number}.png" for number in range(9)))
    part = images_in(tmp_path).take([5, 2, 7])

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the other masks are those of the other part
        assert found(tmp_path, part, is_whole=False) == ["5.png", "2.png", "7.png"]
    absolute = Manifest.from_arrays(part.file_paths, directory=None)
    assert found(tmp_path, absolute, is_whole=False) == ["5.png", "2.png", "7.png"]


def test_names_are_equal_in_any_normal_form_of_unicode(tmp_path):
    touch(tmp_path, "images/" + unicodedata.normalize("NFC", "Übung é.png"))
    touch(tmp_path, "masks/" + unicodedata.normalize("NFD", "Übung é.png"))

    assert len(found(tmp_path)) == 1


def test_missing_masks_are_named_with_how_many(tmp_path):
    touch(tmp_path, *(f"images/{number}.jpg" for number in range(6)), "masks/0.png", "masks/1.png", "masks/9.png")

    with pytest.raises(DataError) as caught:
        found(tmp_path)
    message = str(caught.value)
    assert message.startswith(
        f"4 of 6 images have no mask in {str(tmp_path / 'masks')!r}: '2.jpg', '3.jpg', '4.jpg', ..."
    )
    assert f"Expected: {str(tmp_path / 'masks' / '2.png')!r}, or with another ending." in message
    assert "1 mask there has no image: '9.png'." in message
    assert message.endswith("To leave images out: manifest.without([...]), and pass the manifest.")


def test_masks_with_names_of_their_own_say_what_to_type(tmp_path):
    touch(tmp_path, "images/1.jpg", "images/x/2.jpg", "masks/1_mask.gif", "masks/x/2_mask.gif")

    with pytest.raises(
        DataError, match=r"Masks have other names, such as '1_mask.gif'. Pass file names of both"
    ) as caught:
        found(tmp_path)
    (expression,) = re.findall(r"masks=(\[.*\])$", str(caught.value))
    images = images_in(tmp_path)
    names = eval(expression, {"os": os, "Path": Path, "images": images})
    assert found(tmp_path, images, names, is_whole=False) == ["1_mask.gif", "x/2_mask.gif"]


def test_a_mask_without_an_image_is_named_in_a_warning(tmp_path):
    touch(tmp_path, "images/1.jpg", "masks/1.png", "masks/2.png", "masks/3.png")

    with pytest.warns(
        UserWarning, match=r"2 masks in .* have no image in .*: '2.png', '3.png'. A mask without an image"
    ):
        assert found(tmp_path) == ["1.png"]


def test_names_that_are_not_distinct_are_errors(tmp_path):
    touch(tmp_path, "images/1.jpg", "masks/1.png", "masks/1.gif")
    with pytest.raises(
        DataError, match=r"Several masks in .* have one name: '1.gif', '1.png'. 1 name in all. Remove one"
    ):
        found(tmp_path)
    (tmp_path / "masks/1.gif").unlink()
    touch(tmp_path, "images/1.png")
    with pytest.raises(DataError, match=r"Several images have one name, .*'1.jpg', '1.png'.* Pass the masks as a list"):
        found(tmp_path)


def test_lists_have_the_order_of_the_images(tmp_path):
    touch(tmp_path, "a.png", "b.png", "masks/x.png", "masks/y.png")
    images = Manifest.from_arrays(["b.png", "a.png"], directory=tmp_path)

    assert found(tmp_path, images, ["masks/x.png", "masks/y.png"], is_whole=False) == ["x.png", "y.png"]
    absolute = [tmp_path / "masks/y.png", tmp_path / "masks/x.png"]
    assert found(tmp_path, images, absolute, is_whole=False) == ["y.png", "x.png"]
    assert found(tmp_path, images, Manifest.from_directory(tmp_path / "masks", None), is_whole=False) == [
        "x.png",
        "y.png",
    ]
    np.save(tmp_path / "names.npy", np.array(["masks/y.png", "masks/x.png"]))
    assert found(tmp_path, images, tmp_path / "names.npy", is_whole=False) == ["y.png", "x.png"]


def test_wrong_lists_are_errors(tmp_path, monkeypatch):
    touch(tmp_path, "images/1.png", "images/2.png", "masks/1.png", "masks/2.png")
    monkeypatch.chdir(tmp_path)
    images = images_in(tmp_path)

    with pytest.raises(DataError, match=r"one mask per image. Received: 2 images and 1 masks"):
        found(tmp_path, images, ["masks/1.png"], is_whole=False)
    with pytest.raises(
        DataError, match=r"relative to the directory of the images.*'masks/1.png' does, .*os.path.abspath"
    ):
        found(tmp_path, images, ["masks/1.png", "masks/2.png"], is_whole=False)
    with pytest.raises(OptionError, match=r'A list of masks has the order of the images.*such as masks="masks"'):
        found(tmp_path, images, ["masks/1.png", "masks/2.png"])


def test_masks_within_the_directory_of_the_images_are_an_error(tmp_path):
    touch(tmp_path, "images/1.png", "images/masks/1.png")

    for masks in (tmp_path / "images", tmp_path / "images" / "masks"):
        with pytest.raises(DataError, match=r"are in the directory of the images, .* and would be images, too"):
            found(tmp_path, masks=masks)


def test_a_directory_that_is_missing_or_empty_is_an_error(tmp_path):
    touch(tmp_path, "images/1.png", "empty/notes.txt")

    with pytest.raises(DataError, match="not_there"):
        found(tmp_path, masks=tmp_path / "not_there")
    with pytest.raises(DataError, match="No files ending in"):
        found(tmp_path, masks=tmp_path / "empty")
