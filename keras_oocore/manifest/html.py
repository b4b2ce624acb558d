"""Shows a manifest in a notebook: its classes as a table, and thumbnails of at most eight samples."""

import os
from collections.abc import Collection
from typing import Any

import numpy as np

from keras_oocore.core import html
from keras_oocore.images.thumbnail import spread, thumbnail_of_file

SHOWN_CLASSES = 12  # further classes are counted


def as_html(manifest: Any, headline: str, extensions: Collection[str]) -> str:
    """Return a manifest as HTML.

    Args:
        manifest: The manifest.
        headline: Number of samples and classes, and the directory.
        extensions: Extensions of image files. Other files have no thumbnail and are not read.
    """
    further = [("columns", ", ".join(manifest.columns))] if manifest.columns else []
    if manifest.features is not None:
        further.append(("features", ", ".join(manifest.feature_cols)))
    if manifest.skipped:
        further.append(("skipped", ", ".join(f"{n:,} {reason}" for reason, n in manifest.skipped.items())))
    return html.page(
        html.heading("Manifest", headline),
        class_table(manifest, SHOWN_CLASSES),
        html.facts(further) if further else "",
        html.strip(_pictures(manifest, extensions)),
    )


def class_table(manifest: Any, max_classes: int) -> str:
    """Return the number of samples per class as a table, or an empty string if the labels are not classes."""
    counts = class_counts(manifest)
    if counts is None:
        return ""
    names, shown = manifest.class_names, counts[:max_classes].tolist()
    highest, total = max(int(counts.max(initial=0)), 1), max(len(manifest), 1)
    rows = [(name, f"{n:,}", f"{n / total:.1%}", html.bar(n / highest)) for name, n in zip(names, shown)]
    if len(counts) > max_classes:
        rows.append((f"… and {len(counts) - max_classes:,} more", f"{counts[max_classes:].sum():,}", "", ""))
    return html.table(("class", "samples", "share", ""), rows, numbers=(1, 2))


def class_counts(manifest: Any) -> np.ndarray | None:
    """Return the number of samples per class name, or `None` if the labels are not classes with names."""
    labels, names = manifest.labels, manifest.class_names
    if not names or labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        return None
    counts = np.bincount(labels, minlength=len(names)) if labels.min(initial=0) >= 0 else ()
    return counts if len(counts) == len(names) else None


def _pictures(manifest, extensions: Collection[str]) -> list[html.Picture]:
    pictures = []
    for sample in spread(len(manifest)) if len(manifest) else ():
        path = manifest.path(sample)
        suffix = os.path.splitext(path)[1].lower()
        uri = thumbnail_of_file(path) if suffix in extensions or not suffix else None
        if uri is not None:
            pictures.append(html.Picture(uri, _class_of(manifest, sample), str(manifest.filenames[sample])))
    return pictures


def _class_of(manifest, sample: int) -> str:
    """Return the class of a sample, or its number, or an empty string if it has several."""
    if manifest.labels is None or manifest.labels.ndim != 1:
        return ""
    label = manifest.labels[sample]
    if manifest.class_names and label.dtype.kind in "iu" and 0 <= label < len(manifest.class_names):
        return manifest.class_names[label]
    return f"{label:,.6g}" if label.dtype.kind == "f" else str(label)
