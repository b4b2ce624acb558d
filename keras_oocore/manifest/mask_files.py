"""Finds the mask of each image, by the name of the image or in the order of a list."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import counted, shown
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.inputs import as_filenames
from keras_oocore.manifest.manifest import Manifest

LISTED = 3  # names in a message


def mask_files(images: Manifest, masks: Any, is_whole: bool, follow_links: bool = False) -> Manifest:
    """Return the masks of images, in the order of the images.

    Args:
        images: The images.
        masks: A directory: the mask of `a/1.jpg` is the file `a/1` in it, with any ending. Or a `Manifest` or file
            names, one per image and in their order. File names are relative to the directory of `images`.
        is_whole: Whether `images` are all of a directory, so that a mask without an image is surprising.
        follow_links: Whether to visit directories of masks that symbolic links point to.

    Raises:
        DataError: If an image has no mask or several, or the numbers of images and masks differ.
        OptionError: If `masks` is something else, or a list for a directory of images.
    """
    if isinstance(masks, str | os.PathLike) and not os.fspath(masks).lower().endswith(".npy"):
        return _of_directory(images, os.fspath(masks), is_whole, follow_links)
    if is_whole:
        raise OptionError(
            "A list of masks has the order of the images, but a directory of images has none. Pass the directory of "
            'the masks, such as masks="masks", or the images as a list of file names, too. Received: '
            f"masks={shown(masks)}"
        )
    if isinstance(masks, Manifest):
        _require_one_per_image(images, len(masks))
        return masks
    names = as_filenames(masks)
    _require_one_per_image(images, len(names))
    return _of_names(images, names)


def _require_one_per_image(images: Manifest, num_masks: int) -> None:
    if num_masks != len(images):
        raise DataError(
            f"`masks` should name one mask per image. Received: {len(images):,} images and {num_masks:,} masks"
        )


def _of_names(images: Manifest, names: np.ndarray) -> Manifest:
    found = Manifest(names, directory=images.current_directory)
    first = str(names[0])
    if not storage.exists(found.path(0)) and storage.exists(first):
        raise DataError(
            f"File names of masks are relative to the directory of the images, {str(images.directory)!r}, and "
            f"{found.path(0)!r} does not exist. {first!r} does, relative to the working directory. Pass "
            "masks=[os.path.abspath(name) for name in masks]"
        )
    return found


def _of_directory(images: Manifest, directory: str, is_whole: bool, follow_links: bool) -> Manifest:
    directory = os.path.expanduser(directory)
    if is_whole and _is_inside(directory, images.current_directory):
        raise DataError(
            f"The masks in {directory!r} are in the directory of the images, {str(images.directory)!r}, and would be "
            "images, too. Move the images to a directory of their own, such as "
            f"{os.path.join(os.fspath(images.directory), 'images')!r}, or pass file names of images and masks as lists."
        )
    masks = Manifest.from_directory(directory, None, extensions=IMAGE_EXTENSIONS, follow_links=follow_links)
    wanted, found = _stems(images.filenames, images), _stems(masks.filenames, masks)
    _require_distinct(wanted, images, "images", directory)
    _require_distinct(found, masks, "masks", directory)
    in_order = np.argsort(found, kind="stable")
    at = np.minimum(np.searchsorted(found, wanted, sorter=in_order), len(found) - 1)
    chosen = in_order[at]
    missing = np.flatnonzero(found[chosen] != wanted)
    extra = np.flatnonzero(~np.isin(found, wanted))
    if len(missing):
        raise DataError(_why_missing(images, wanted[missing], missing, masks, extra, directory))
    if len(extra) and is_whole:
        names = masks.filenames[extra].tolist()
        warn_user(
            f"{counted(len(names), 'mask')} in {directory!r} {'have' if len(names) > 1 else 'has'} no image in "
            f"{str(images.directory)!r}: {_listed(names)}. A mask without an image is not used."
        )
    return Manifest(masks.filenames[chosen], directory=masks.current_directory)


def _is_inside(directory: str, images: Any) -> bool:
    """Whether a directory is that of the images, or within it."""
    inner, outer = os.path.realpath(directory), os.path.realpath(images)
    return os.path.isdir(inner) and os.path.commonpath([inner, outer]) == outer


def _stems(filenames: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Return the names without their endings. A name is the same in any normal form of Unicode (macOS has another)."""
    names = filenames.tolist()
    if manifest.directory is None and names:
        folder = os.path.commonpath([os.path.dirname(name) for name in names]) if _have_folders(names) else ""
        names = [os.path.relpath(name, folder) if folder else name for name in names]
    stems = (os.path.splitext(name)[0] for name in names)
    return np.array([stem if stem.isascii() else unicodedata.normalize("NFC", stem) for stem in stems], str)


def _have_folders(names: Sequence[str]) -> bool:
    absolute = [os.path.isabs(name) for name in names]
    return all(map(os.path.dirname, names)) and (all(absolute) or not any(absolute))


def _require_distinct(stems: np.ndarray, files: Manifest, what: str, directory: str) -> None:
    values, counts = np.unique(stems, return_counts=True)
    if (counts == 1).all():
        return
    names = files.filenames[stems == values[counts > 1][0]].tolist()
    repeated = counted(int((counts > 1).sum()), "name")
    if what == "masks":
        raise DataError(
            f"Several masks in {directory!r} have one name: {_listed(names)}. {repeated} in all. Remove one."
        )
    raise DataError(
        f"Several images have one name, so it is not known whose mask is in {directory!r}: {_listed(names)}. "
        f"{repeated} in all. Pass the masks as a list in the order of the images."
    )


def _why_missing(
    images: Manifest, stems: np.ndarray, missing: np.ndarray, masks: Manifest, extra: np.ndarray, directory: str
) -> str:
    names = images.filenames[missing[:LISTED]].tolist()
    expected = os.path.join(directory, f"{stems[0]}.png")
    message = (
        f"{len(missing):,} of {counted(len(images), 'image')} {'have' if len(missing) > 1 else 'has'} no mask in "
        f"{directory!r}: {_listed(names, len(missing))}. Expected: {expected!r}, or with another ending."
    )
    others = masks.filenames[extra].tolist()
    if (pattern := _common_change(stems, others)) is not None:
        before, after = pattern
        return (
            f"{message} Masks have other names, such as {others[0]!r}. Pass file names of both: "
            f"images = ko.Manifest.from_directory({str(images.directory)!r}, labels=None), and "
            f'masks=[os.path.abspath(f\'{directory}/{{Path(name).with_name("{before}" + Path(name).stem + '
            f'"{after}")}}\') for name in images.filenames]'
        )
    if len(others):
        have = "have" if len(others) > 1 else "has"
        message += f" {counted(len(others), 'mask')} there {have} no image: {_listed(others)}."
    return (
        f"{message} An image without objects requires a mask of zeros. To leave images out: "
        "manifest.without([...]), and pass the manifest."
    )


def _common_change(stems: np.ndarray, others: list[str]) -> tuple[str, str] | None:
    """Return what masks have before and after the names of their images, such as `("", "_mask.png")`, or `None`."""
    first, known = PurePosixPath(str(stems[0])).name, set(others)
    for name in others:
        before, found, after = PurePosixPath(name).name.partition(first)
        changed = (
            PurePosixPath(stem).with_name(f"{before}{PurePosixPath(stem).name}{after}") for stem in stems.tolist()
        )
        if found and all(str(one) in known for one in changed):
            return before, after
    return None


def _listed(names: Sequence[str], count: int | None = None) -> str:
    count = len(names) if count is None else count
    return ", ".join(map(repr, names[:LISTED])) + (", ..." if count > LISTED else "")
