"""What a scan of a directory found: an error if it is nothing, and a warning about files that will not be read."""

import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.text import counted
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.label_checks import warn_of_empty_classes

OTHER = "other extension"
NO_FILES = ("broken link", "not a regular file")


@dataclass
class Found:
    """The result of a scan.

    Attributes:
        filenames: String array of shape `(num_samples,)`.
        labels: Class indices, `int32` of shape `(num_samples,)`, or `None`.
        class_names: List of class names in the order of their indices, or `None`.
        skipped: Number of skipped files and folders for each reason.
        other_extensions: Number of files for each extension that was not asked for.
        outside_extensions: The part of them that is not in a class folder.
    """

    filenames: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None
    skipped: Counter[str] = field(default_factory=Counter[str])
    other_extensions: Counter[str] = field(default_factory=Counter[str])
    outside_extensions: Counter[str] = field(default_factory=Counter[str])


def require_files(found: Found, directory: str | os.PathLike[str], extensions: tuple[str, ...]) -> None:
    """Check that a scan found files, and warn about empty classes.

    Raises:
        DataError: If there are no files. The message says what was found instead.
    """
    if not len(found.filenames):
        raise DataError(_why_nothing(found, os.fspath(directory), extensions))
    if found.labels is not None:
        warn_of_empty_classes(found.labels, len(found.class_names), found.class_names)


def warn_of_skipped(found: Found) -> None:
    """Warn once about all files in the class folders that will not be read. Hidden and system files do not count."""
    others = found.other_extensions - found.outside_extensions
    others.update({reason: found.skipped[reason] for reason in NO_FILES if found.skipped[reason]})
    if found.class_names is None or not others:
        return
    count = others.total()
    heic = " HEIC files require pillow-heif: pip install pillow-heif." if {".heic", ".heif"} & {*others} else ""
    warn_user(
        f"{counted(count, 'file')} in the class folders will not be read: "
        f"{counted_extensions(others)}.{heic} To choose the files, pass `extensions` to Manifest.from_directory."
    )


def counted_extensions(extensions: Counter[str]) -> str:
    """Return how many files have each of the most common endings, such as `"2 .txt, 1 .csv"`."""
    return ", ".join(f"{count:,} {suffix or 'without extension'}" for suffix, count in extensions.most_common(5))


def _why_nothing(found: Found, directory: str, extensions: tuple[str, ...]) -> str:
    if not found.skipped and not found.class_names:
        return f"Directory {directory!r} is empty."
    linked = found.skipped["linked folder (follow_links=False)"]
    links = " To search linked folders too, pass follow_links=True." if linked else ""
    outside = found.skipped["outside the class folders"]
    if outside and not found.class_names:
        return (
            f"Directory {directory!r} contains {counted(outside, 'file')} but no class folders. "
            f"Put each class into a separate folder, or pass labels=None for samples without labels.{links}"
        )
    others = counted_extensions(found.other_extensions)
    remedy = "To select other files, pass `extensions` to Manifest.from_directory."
    instead = f" Other extensions found: {others}. {remedy}" if others else ""
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in found.skipped.items() if reason != OTHER)
    return (
        f"No files ending in {', '.join(extensions)} {'in the class folders of' if found.class_names else 'below'} "
        f"{directory!r}.{instead}{f' Skipped: {skipped}.' if skipped else ''}{links}"
    )
