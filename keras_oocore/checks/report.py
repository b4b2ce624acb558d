"""What a check of files found."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from keras_oocore.checks.content import overview_of, sections_of
from keras_oocore.checks.sections import Overview, Section
from keras_oocore.checks.shown import ShownReport
from keras_oocore.checks.words import in_words
from keras_oocore.core.text import counted


@dataclass(frozen=True)
class Copies:
    """Files that are copies of each other.

    Attributes:
        files: Names of the files, sorted.
        classes: Name of the class of each file, or `None` for files without classes.
        kind: `"exact"` for equal contents, `"near"` for the same picture in other bytes (re-encoded, scaled, slightly
            cropped, brighter or darker), `"mirrored"`, or `"blank"` for images of one color.
    """

    files: tuple[str, ...]
    classes: tuple[str | None, ...]
    kind: str

    @property
    def is_conflict(self) -> bool:
        """Whether the files have more than one class."""
        return len({*self.classes}) > 1

    def removable(self, names: Collection[str]) -> list[str] | None:
        """Return the files that `Manifest.without` removes: all but the first of those that it has.

        `None` for a conflict, because it is not known which file has the right class.
        """
        if self.is_conflict:
            return None
        present = [file for file in self.files if file in names]
        return [file for file in present if file != present[0]]


@dataclass(frozen=True)
class Leak:
    """A file that is in both of two data sets.

    Attributes:
        file: Its name in the data.
        other: The name of its copy in `against`.
        kind: As in `Copies`.
        classes: The class of each, or `None`.
    """

    file: str
    other: str
    kind: str
    classes: tuple[str | None, str | None] = (None, None)

    @property
    def is_conflict(self) -> bool:
        """Whether the two files have different classes."""
        return None not in self.classes and self.classes[0] != self.classes[1]

    @property
    def files(self) -> tuple[str, ...]:
        """The file of the data, alone."""
        return (self.file,)

    def removable(self, names: Collection[str]) -> list[str] | None:
        """Return the files that `Manifest.without` removes: the one in the data."""
        return [self.file] if self.file in names else []


@dataclass(frozen=True, eq=False)
class CheckReport(ShownReport):
    """What `ko.check` found.

    Remove it with `manifest.without(report.bad)`, `manifest.without(report.duplicates)`, which keeps the first file of
    each group and leaves conflicts alone, and `manifest.without(report.leaks)`.

    Attributes:
        data: What was checked: a directory, or a number of files.
        against: What it was compared with, or `None`.
        num_files: Number of files.
        class_counts: Class name → number of files.
        formats: Format, such as `"JPEG"` → number of files.
        sizes: `(height, width)` → number of images.
        bad: Name of a file → why it cannot be read, or why its pixels are doubtful.
        duplicates: Groups of copies.
        conflicts: The groups of copies that have more than one class.
        leaks: Copies that are in the data and in `against`.
        unusual: What is unusual (`"blank"`, `"very dark"`, `"blurred"`, `"odd size"`, `"wrong ending"`) → name of a
            file → details.
        groups: Number of the group of each file, `int64` of shape `(num_files,)`, for `manifest.split(groups=...)`.
            Copies have the same number.
        not_checked: What could not be checked, in words.
        paths: Name of a file → its path, for the files that are named above; `against` has its own.
        paths_against: The same for files of `against`.
        seconds: How long the check took.
    """

    data: str
    against: str | None
    num_files: int
    class_counts: dict[str, int]
    formats: dict[str, int]
    sizes: dict[tuple[int, int], int]
    bad: dict[str, str]
    duplicates: list[Copies]
    conflicts: list[Copies]
    leaks: list[Leak]
    unusual: dict[str, dict[str, str]]
    groups: np.ndarray
    not_checked: tuple[str, ...] = ()
    paths: dict[str, str] = field(default_factory=dict)
    paths_against: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return in_words(self)

    @property
    def found(self) -> bool:
        """Whether anything was found."""
        return bool(self.bad or self.duplicates or self.leaks or any(self.unusual.values()))

    @property
    def conflicting_files(self) -> list[str]:
        """Names of all files in `conflicts`. `manifest.without(report.conflicting_files)` removes all of them."""
        return sorted({file for copies in self.conflicts for file in copies.files})

    @property
    def amount(self) -> str:
        """How much was checked, in words."""
        return counted(self.num_files, "file")

    @property
    def extent(self) -> str:
        """How much was checked, with its classes, in words."""
        return self.amount + (f" in {counted(len(self.class_counts), 'class')}" if self.class_counts else "")

    def sections(self, max_groups: int, max_files: int) -> list[Section]:
        """Return what was found, for a page or a notebook.

        Args:
            max_groups: Number of groups per section, and of bad or unusual files.
            max_files: Number of files per group of copies.
        """
        return sections_of(self, max_groups, max_files)

    def overview(self) -> Overview:
        """Return what the data consists of, for a page."""
        return overview_of(self)
