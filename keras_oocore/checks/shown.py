"""`ShownReport`: what all reports of checks have in common: a notebook shows them, and `to_html` writes a page."""

import os
from pathlib import Path

from keras_oocore.checks.sections import ReportContent
from keras_oocore.core import html


class ShownReport(ReportContent):
    """Base class of the reports of checks."""

    def to_html(self, path: str | os.PathLike[str], max_groups: int = 20) -> Path:
        """Write the report as one HTML file, with thumbnails of the files, or cells of the rows, that were found.

        The file loads nothing from elsewhere, so it can be sent and opened anywhere. It has no scripts. With photos, it
        has at most about 4 MB.

        Args:
            path: The file to write, such as `"report.html"`. An existing file is replaced.
            max_groups: Number of groups of copies that each section shows, and of bad and unusual files, rows or
                columns. Further ones are counted. Defaults to `20`.

        Returns:
            The path.

        Raises:
            OptionError: If `max_groups` is not a positive integer.
            DestinationError: If the file cannot be written.
        """
        from keras_oocore.checks.page import write_page  # it imports Pillow

        return write_page(self, path, max_groups)

    @html.never_raising
    def _repr_html_(self) -> str:
        from keras_oocore.checks.notebook import as_html  # it imports Pillow

        return as_html(self)
