"""Says what a check of files could not find out, and how to find it out."""

import numpy as np

from keras_oocore.checks.inputs import Input
from keras_oocore.checks.measured import Measured
from keras_oocore.images import codecs
from keras_oocore.images.look import LEAST_SIDE
from keras_oocore.sources.layout import RowSpec, fields_of

HIDDEN = ("hidden", "left by the operating system")  # reasons to skip a file that say nothing


def not_checked(
    inputs: list[Input], parts: list[Measured], images: bool, mirrored: bool, num_skipped: int
) -> tuple[str, ...]:
    """Return what could not be checked, in sentences."""
    notes = [note for one, part in zip(inputs, parts) for note in _of_input(one, part)]
    if not images:
        notes.append(
            "Near copies, and blank, dark or blurred images: the data is not images of 8 bits. Exact copies are found."
        )
    elif not mirrored:
        notes.append("Mirrored copies. To find them, pass mirrored=True.")
    if num_skipped:
        notes.append(f"Some near copies: {num_skipped:,} comparisons were left out, because too many images are alike.")
    return tuple(dict.fromkeys(notes))


def _of_input(data: Input, measured: Measured) -> list[str]:
    notes = []
    if data.rows is not None:
        notes.append(
            f"The true sizes, formats and endings of the files of {data.name}: their stored rows were checked, of "
            f"shape {_shapes(data.rows.spec)}. Copies are exact if their rows are equal. To check the files, pass "
            "their directory or manifest."
        )
    elif data.images and codecs.simplejpeg is None:
        notes.append(
            'JPEGs that can be read but are damaged. This requires simplejpeg: pip install "keras_oocore[fast]"'
        )
    elif not data.images and data.reader is None:
        notes.append(
            f"Whether the contents of the files of {data.name} can be read: their format is not known. Pass a Sequence "
            "with a reader: ko.check(ko.NpyManifestSequence(manifest, reader=function))"
        )
    if data.classes is None:
        notes.append(f"Copies across classes: the files of {data.name} have no classes.")
    unknown = measured.has_picture & ~measured.is_blank & np.isnan(measured.sharpness)
    if unknown.any():
        notes.append(
            f"Whether {np.count_nonzero(unknown):,} images of {data.name} are blurred: they are smaller than "
            f"{LEAST_SIDE} pixels, or have no clear edges."
        )
    for reason, count in data.manifest.skipped.items():
        if reason not in HIDDEN:
            notes.append(f"{count:,} {'file' if count == 1 else 'files'} or folders in {data.name}: {reason}.")
    return notes


def _shapes(spec: RowSpec) -> str:
    return ", ".join(str(field.shape) for field in fields_of(spec).values())
