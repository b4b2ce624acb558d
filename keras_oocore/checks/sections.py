"""What a page and a notebook show of any report: sections with groups of files, and what the data consists of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

TIMES = "\N{MULTIPLICATION SIGN}"


class ShownFile(NamedTuple):
    """A file of a group.

    Attributes:
        name: Its name in the data.
        path: Its path, or `None` if it has none, such as a row of a cache.
        label: Its class or its data set.
        detail: What was found in this file.
    """

    name: str
    path: str | None
    label: str = ""
    detail: str = ""


class Group(NamedTuple):
    """Files that are shown beside each other.

    Attributes:
        title: What they have in common.
        files: The first files.
        num_files: Number of all files.
    """

    title: str
    files: Sequence[ShownFile]
    num_files: int


@dataclass(frozen=True)
class Section:
    """One kind of finding.

    Attributes:
        key: One word for it.
        title: Its name.
        meaning: What it means for training, and what to do about it.
        code: What to type to remove it, or an empty string.
        groups: The first groups.
        num_groups: Number of all groups.
        count: How many of what were found, in words.
        is_problem: Whether it should be fixed before training.
        as_list: Whether files are lines of a list, and not pictures beside each other.
        noun: What a line of a list is.
    """

    key: str
    title: str
    meaning: str
    code: str
    groups: list[Group]
    num_groups: int
    count: str
    is_problem: bool = True
    as_list: bool = False
    noun: str = "file"


class Grid(NamedTuple):
    """A table of figures.

    Attributes:
        titles: Titles of the columns. The first one has names.
        rows: The cells of each row.
        notes: Sentences below it.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


class Overview(NamedTuple):
    """What the data consists of.

    Attributes:
        title: Title of the section.
        bars: Titles, names with their counts, and how many of them are shown.
        grid: A table, or `None`.
    """

    title: str
    bars: Sequence[tuple[str, Sequence[tuple[str, int]], int]]
    grid: Grid | None = None


class ReportContent(ABC):
    """What a report provides to be shown.

    Attributes:
        data: What was checked.
        against: What it was compared with, or `None`.
        not_checked: What could not be checked, in words.
        seconds: How long the check took.
    """

    data: str
    against: str | None
    not_checked: tuple[str, ...]
    seconds: float

    @property
    @abstractmethod
    def amount(self) -> str:
        """How much was checked, in words."""

    @property
    @abstractmethod
    def extent(self) -> str:
        """How much was checked, with its classes or columns, in words."""

    @abstractmethod
    def sections(self, max_groups: int, max_files: int) -> list[Section]:
        """Return what was found.

        Args:
            max_groups: Number of groups per section, and of bad or unusual files, rows or columns.
            max_files: Number of files or rows per group.
        """

    @abstractmethod
    def overview(self) -> Overview:
        """Return what the data consists of."""
