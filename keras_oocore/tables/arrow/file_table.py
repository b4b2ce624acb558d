"""`FileTable`: what the tables of all files that have types share: what identifies their files, and how they pickle."""

import threading
from typing import Any, Generic, Protocol, TypeVar

from keras_oocore.tables.arrow.table import ArrowTable


class DescribedFile(Protocol):
    """A file of a table."""

    def described(self) -> str:
        """Return name, size and time as a person reads them, so that an error message shows what changed."""
        ...

    def described_copy(self) -> str:
        """Return what a copy of the file has in common with it, such as name and size."""
        ...


F = TypeVar("F", bound=DescribedFile)


class FileTable(ArrowTable, Generic[F]):
    """The rows of files whose columns have Arrow types.

    A subclass sets `files` and `_own`, and all that `ArrowTable` requires but the fingerprints.

    Attributes:
        files: The files.
    """

    files: list[F]
    _own: threading.local  # what each thread has open

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {**self.of_reading(), "files": [file.described() for file in self.files]}

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON: names and sizes of the files, without folders and times."""
        return {**self.of_rows(), "files": [file.described_copy() for file in self.files]}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_own"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._own = threading.local()
