"""The pictures of a page: previews of files, which are read in threads, and placeholders where there is none."""

import os
from collections.abc import Iterable

from keras_oocore.checks.sections import TIMES, Section, ShownFile
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.html import escaped
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.threads import ThreadPool
from keras_oocore.images.thumbnail import Preview, preview_of_file


class Pictures:
    """Pictures of files. A file that is shown twice is read once.

    Args:
        sections: What will be shown.
    """

    def __init__(self, sections: Iterable[Section]):
        files = [file for section in sections for group in section.groups for file in group.files]
        paths = list(dict.fromkeys(file.path for file in files if file.path is not None))
        with ThreadPool(num_cpus(), "keras_oocore-page") as threads:
            calls = [threads.submit(preview_of_file, path) for path in paths]
            self._previews: dict[str, Preview | None] = {path: call.result() for path, call in zip(paths, calls)}

    def __contains__(self, file: ShownFile) -> bool:
        """Whether a file has a picture."""
        return self._of(file) is not None

    def picture(self, file: ShownFile) -> str:
        """Return the picture of a file, or a placeholder, as HTML."""
        preview, name = self._of(file), escaped(file.name, longest=None)  # not the path: it may name a person
        if preview is None:
            return f'<div class="picture none" title="{name}">{_why_none(file)}</div>'
        return f'<div class="picture" title="{name}"><img src="{preview.uri}" alt="{name}"></div>'

    def size(self, file: ShownFile) -> str:
        """Return the size of an image and of its file, or an empty string."""
        preview = self._of(file)
        if preview is None:
            return ""
        return f"{preview.height} {TIMES} {preview.width}, {format_bytes(preview.size_bytes)}"

    def _of(self, file: ShownFile) -> Preview | None:
        return None if file.path is None else self._previews[file.path]


def _why_none(file: ShownFile) -> str:
    if file.path is None:
        return "not a file"
    try:
        exists = os.path.lexists(file.path)
    except ValueError:  # no file can have this name
        exists = False
    return "no picture" if exists else "file is gone"
