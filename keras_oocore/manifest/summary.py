"""Formats a manifest as one line and as a summary."""

import io
import os
from collections import Counter
from typing import Any

import numpy as np

from keras_oocore.core import html, storage
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted
from keras_oocore.manifest.html import class_table
from keras_oocore.manifest.label_checks import empty_classes, listed_classes

NAMED_CLASSES = 8  # listed in `repr`


def one_line(manifest: Any) -> str:
    """The `repr` of a manifest: number of samples, number of classes, directory and first class names."""
    names = [_printable(name) for name in (manifest.class_names or [])[:NAMED_CLASSES]]
    more = ", …" if len(manifest.class_names or []) > NAMED_CLASSES else ""
    return f"Manifest({headline(manifest)}{': ' if names else ''}{', '.join(names)}{more})"


def headline(manifest: Any) -> str:
    """Number of samples and classes, and the directory."""
    count = counted(len(manifest), "sample")
    where = "" if manifest.directory is None else f" in {str(manifest.directory)!r}"
    if manifest.labels is None:
        return f"{count} without labels{where}"
    if manifest.class_names is None:
        shape = f" of shape {manifest.labels.shape[1:]}" if manifest.labels.ndim > 1 else ""
        return f"{count} with {manifest.labels.dtype} labels{shape}{where}"
    return f"{count} of {counted(len(manifest.class_names), 'class')}{where}"


def summary(manifest: Any, max_classes: int) -> html.HtmlString:
    """Samples per class, total size, and formats. Reads the size of every file."""
    sizes, missing, formats = [], [], Counter()
    for path in manifest.file_paths:
        formats[os.path.splitext(path)[1].lower() or "no extension"] += 1
        try:
            sizes.append(storage.status(path).size_bytes)
        except OSError:
            missing.append(path)
    facts = []
    if pair := _empty_classes(manifest):
        facts.append(pair)
    if manifest.features is not None:
        facts.append(("features", ", ".join(manifest.feature_cols)))
    if sizes:
        facts.append(("size", f"{format_bytes(sum(sizes))}, {format_bytes(sum(sizes) // len(sizes))} per file"))
    facts.append(("formats", ", ".join(f"{count:,} {suffix}" for suffix, count in formats.most_common())))
    if missing:
        facts.append(("missing", f"{counted(len(missing), 'file')}, the first {missing[0]!r}"))
    if manifest.skipped:
        facts.append(("skipped", ", ".join(f"{n:,} {reason}" for reason, n in manifest.skipped.items())))
    lines = [f"Manifest: {headline(manifest)}"]
    if manifest.class_names and manifest.labels is not None and manifest.labels.ndim == 1:
        lines.append(_class_table(manifest, max_classes))
    lines += [f"{name}: {text}" for name, text in facts]
    shown = (html.heading("Manifest", headline(manifest)), class_table(manifest, max_classes), html.facts(facts))
    return html.HtmlString("\n".join(lines), html.page(*shown))


def _empty_classes(manifest) -> tuple[str, str] | None:
    """The classes without samples, or the range of integer labels without class names and the integers it lacks."""
    labels, names = manifest.labels, manifest.class_names
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        return None
    num_classes = len(names) if names else int(labels.max()) + 1
    if labels.max() >= num_classes:
        return None
    count, first = empty_classes(labels, num_classes)
    empty = f"without samples: {listed_classes(count, first, names)}" if count else ""
    if names:
        return ("classes without samples", listed_classes(count, first, names)) if count else None
    return "labels", f"{labels.min():,} to {labels.max():,}{empty and f', {empty}'}"


def _class_table(manifest, max_classes: int) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    counts = np.bincount(manifest.labels, minlength=len(manifest.class_names))
    table = Table("class", box=None, pad_edge=True)
    table.add_column("samples", justify="right")
    table.add_column("share", justify="right")
    for name, count in list(zip(manifest.class_names, counts))[:max_classes]:
        table.add_row(escape(_printable(name)), f"{count:,}", f"{count / max(len(manifest), 1):.1%}")
    if len(counts) > max_classes:
        table.add_row(f"… and {len(counts) - max_classes:,} more", f"{counts[max_classes:].sum():,}", "")
    console = Console(file=io.StringIO(), width=100, color_system=None, force_jupyter=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)[1:-1]
