"""What a check of a table found."""

from dataclasses import dataclass, field
from typing import Any

from keras_oocore.checks.sections import Overview, Section
from keras_oocore.checks.shown import ShownReport
from keras_oocore.checks.tables.content import overview_of_table, sections_of_table
from keras_oocore.checks.tables.equal_rows import RowGroups, RowLeaks
from keras_oocore.checks.tables.plain import as_plain
from keras_oocore.checks.tables.words import in_words
from keras_oocore.core.text import counted


@dataclass(frozen=True)
class CheckedColumn:
    """What a check found out about one column, in the data and in `against`.

    Attributes:
        name: Name of the column.
        kind: `"float32"` for numbers, `"bool"`, `"string"` or `"date"`.
        is_target: Whether it is a target.
        missing: Number of missing cells.
        distinct: Number of distinct values.
        is_exact: Whether `distinct` is exact. Beyond a few thousand, it is estimated, within about 5%.
        mean: Mean of its numbers, or `None`. Dates are days since 1970.
        std: Their standard deviation, or `None`.
        smallest: The smallest number, or `None`.
        largest: The largest number, or `None`.
        kind_against: The kind in `against`, or `None` if it has no such column.
        missing_against: Number of missing cells there.
        mean_against: Mean of the numbers there.
        mean_difference: Standardized difference of the means, of columns of numbers.
        stability_index: Population stability index: 0 for equal distributions. From 0.25 on, they differ.
        unseen: Category → number of rows, for categories that only `against` has, or `None` if the data has too many
            categories to tell.
    """

    name: str
    kind: str
    is_target: bool
    missing: int
    distinct: int
    is_exact: bool = True
    mean: float | None = None
    std: float | None = None
    smallest: float | None = None
    largest: float | None = None
    kind_against: str | None = None
    missing_against: int | None = None
    mean_against: float | None = None
    mean_difference: float | None = None
    stability_index: float | None = None
    unseen: dict[str, int] | None = None


@dataclass(frozen=True, eq=False)
class TableReport(ShownReport):
    """What `ko.check` found in a table.

    Rows have the numbers that `row_numbers` of a Sequence has: they are counted from 0 over all files, without headers.
    Each dictionary goes from the name of a column to what was found, in words, so its names can be passed on:

        rows = ko.CSVChunkSequence("houses.csv", "price", exclude=list(report.ids | report.constant))
        clean = rows.without(report.duplicates)

    Attributes:
        data: What was checked, such as the path.
        against: What it was compared with, or `None`.
        targets: Names of the targets.
        num_rows: Number of rows.
        num_rows_against: Number of rows of `against`, or `None`.
        columns: Name → `CheckedColumn`, for all columns.
        compared: Names of the columns whose cells are equal in copies of a row.
        compared_against: The same for rows of `against`: those that both tables have.
        bad: Number of a row → why it cannot be read, for the first ones.
        num_bad: Number of rows that cannot be read.
        duplicates: Groups of equal rows, as tuples of row numbers. `duplicates.repeated` has all but the first of each.
        conflicts: Groups of rows that are equal, but are of different classes.
        leaks: Pairs of a row of the data and an equal row of `against`. `leaks.rows` has the former.
        by_chance: What may be equal rows of different samples, because the columns have few values: `"duplicates"`,
            `"leaks"`. These are shown, but do not count as found.
        constant: Columns with one value.
        ids: Columns with another value in nearly every row.
        target_leaks: Features that tell the target.
        missing: Columns with missing cells. They do not count as found, unless they are targets.
        drift: Columns whose values have another distribution in `against`, or other shares of missing cells.
        unseen: Columns with more new categories in `against` than to expect.
        differing: Columns of another kind in `against`, or that only one table has.
        examples: Number of a row of the data → its cells in words, for rows that are shown.
        not_checked: What could not be checked, in words.
        seconds: How long the check took.
    """

    data: str
    against: str | None
    targets: list[str]
    num_rows: int
    num_rows_against: int | None
    columns: dict[str, CheckedColumn]
    compared: list[str]
    compared_against: list[str]
    bad: dict[int, str]
    num_bad: int
    duplicates: RowGroups
    conflicts: RowGroups
    leaks: RowLeaks
    by_chance: tuple[str, ...]
    constant: dict[str, str]
    ids: dict[str, str]
    target_leaks: dict[str, str]
    missing: dict[str, str]
    drift: dict[str, str]
    unseen: dict[str, str]
    differing: dict[str, str]
    examples: dict[int, str] = field(default_factory=dict)
    not_checked: tuple[str, ...] = ()
    seconds: float = 0.0

    def __repr__(self) -> str:
        return in_words(self)

    @property
    def found(self) -> bool:
        """Whether anything was found that may harm a training."""
        columns = (self.constant, self.ids, self.target_leaks, self.drift, self.unseen, self.differing)
        rows = {"duplicates": self.duplicates, "leaks": self.leaks}
        copies = [found for name, found in rows.items() if name not in self.by_chance]
        missing = [name for name in self.missing if name in self.targets]
        return any(len(found) for found in (*columns, *copies, self.conflicts, missing)) or self.num_bad > 0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        return as_plain(self)

    @property
    def amount(self) -> str:
        """How much was checked, in words."""
        return counted(self.num_rows, "row")

    @property
    def extent(self) -> str:
        """How much was checked, with its columns, in words."""
        rows = f"{self.amount} of {counted(len(self.columns), 'column')}"
        return rows if self.num_rows_against is None else f"{rows}, against {counted(self.num_rows_against, 'row')}"

    def sections(self, max_groups: int, max_files: int) -> list[Section]:
        """Return what was found, for a page or a notebook.

        Args:
            max_groups: Number of rows, groups and columns per section.
            max_files: Number of rows of a group that are named.
        """
        return sections_of_table(self, max_groups, max_files)

    def overview(self) -> Overview:
        """Return what the table consists of."""
        return overview_of_table(self)
