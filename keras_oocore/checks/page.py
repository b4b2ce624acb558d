"""The page of a report: one HTML file that loads nothing from elsewhere."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_oocore.checks.pictures import Pictures
from keras_oocore.checks.sections import Grid, Group, Overview, ReportContent, Section, ShownFile
from keras_oocore.checks.style import STYLE
from keras_oocore.core.checks import positive
from keras_oocore.core.files import as_path, write_whole
from keras_oocore.core.html import escaped
from keras_oocore.core.version import __version__

MAX_FILES = 6  # of a group of copies


def write_page(report: ReportContent, path: str | os.PathLike[str], max_groups: int) -> Path:
    """Write the page of a report, whole or not at all, and return its path.

    Args:
        report: The report.
        path: The file to write.
        max_groups: Number of groups that each section shows.

    Raises:
        OptionError: If `max_groups` is not a positive integer.
        DestinationError: If the file cannot be written.
    """
    max_groups = positive(max_groups, "max_groups")
    path = as_path(path, "path")
    with write_whole(path) as file:  # a path that cannot be written is an error before the pictures are read
        file.write(page_of(report, max_groups).encode())
    return path


def page_of(report: ReportContent, max_groups: int) -> str:
    """Return the page of a report."""
    sections = report.sections(max_groups, MAX_FILES)
    pictures = Pictures(sections)
    title = f"Check of {report.data}"
    seconds = f" in {report.seconds:.1f} s" if report.seconds else ""
    body = [
        _header(report, sections),
        *(_section(section, pictures) for section in sections),
        _data(report.overview()),
        _notes("Not checked", report.not_checked),
        f"<footer>{report.amount} checked{seconds} with keras_oocore {__version__}.</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _header(report: ReportContent, sections: list[Section]) -> str:
    against = f' <span class="against">against {_name(report.against)}</span>' if report.against else ""
    links = "".join(
        f'<a class="{"problem" if section.is_problem else "look"}" href="#{section.key}">'
        f"<b>{section.count.partition(' ')[0]}</b> {section.count.partition(' ')[2]}</a>"
        for section in sections
    )
    nothing = '<p class="good">Nothing was found.</p>'
    return (
        f"<header><h1>{_name(report.data)}{against}</h1>"
        f'<p class="size">{report.extent}</p>'
        f"{f'<nav>{links}</nav>' if sections else nothing}</header>"
    )


def _section(section: Section, pictures: Pictures) -> str:
    code = f"<pre><code>{escaped(section.code)}</code></pre>" if section.code else ""
    show = _list if section.as_list else _group
    shown = "".join(show(group, pictures, section.noun) for group in section.groups)
    more = section.num_groups - len(section.groups)
    return (
        f'<section id="{section.key}"><h2>{escaped(section.title)} <small>{escaped(section.count)}</small></h2>'
        f'<p>{escaped(section.meaning, longest=None)}</p>{code}<div class="groups">{shown}</div>'
        f"{_more(more, 'group')}</section>"
    )


def _group(group: Group, pictures: Pictures, noun: str) -> str:
    title = f"<h3>{escaped(group.title)}</h3>" if group.title else ""
    figures = "".join(_figure(file, pictures) for file in group.files)
    more = _more(group.num_files - len(group.files), noun)
    return f'<div class="group">{title}<div class="files">{figures}</div>{more}</div>'


def _list(group: Group, pictures: Pictures, noun: str) -> str:
    title = f"<h3>{escaped(group.title)}</h3>" if group.title else ""
    has_pictures = any(file in pictures for file in group.files)
    rows = "".join(
        f"<li>{pictures.picture(file) if has_pictures else ''}"
        f"<div>{_name(file.name)}<small>{escaped(file.detail)}</small></div></li>"
        for file in group.files
    )
    return f'<div class="list">{title}<ul>{rows}</ul>{_more(group.num_files - len(group.files), noun)}</div>'


def _figure(file: ShownFile, pictures: Pictures) -> str:
    label = f"<b>{_name(file.label)}</b>" if file.label else ""
    details = "".join(f"<small>{escaped(text)}</small>" for text in (file.detail, pictures.size(file)) if text)
    name = _name(file.name.removeprefix(f"{file.label}/"))
    caption = f"<figcaption>{label}<span>{name}</span>{details}</figcaption>"
    return f"<figure>{pictures.picture(file)}{caption}</figure>"


def _data(overview: Overview) -> str:
    """Return what the data consists of, as bars or as a table."""
    bars = "".join(_bars(title, counts, most) for title, counts, most in overview.bars)
    shown = f'<div class="data">{bars}</div>' if bars else ""
    shown += _grid(overview.grid) if overview.grid is not None else ""
    return f'<section id="data"><h2>{overview.title}</h2>{shown}</section>' if shown else ""


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{escaped(title)}</th>" for title in grid.titles)
    rows = "".join(
        f"<tr><th><div>{_name(first)}</div></th>{''.join(f'<td>{escaped(cell)}</td>' for cell in cells)}</tr>"
        for first, *cells in grid.rows
    )
    notes = "".join(f'<p class="more">{escaped(note, longest=None)}</p>' for note in grid.notes)
    return f'<div class="grid"><table><tr>{head}</tr>{rows}</table></div>{notes}'


def _bars(title: str, counts: Sequence[tuple[str, int]], max_rows: int) -> str:
    if not counts:
        return ""
    highest = max(max(count for _, count in counts), 1)
    rows = "".join(
        f"<tr><th>{_name(name)}</th><td>{count:,}</td>"
        f'<td class="bar"><div style="width:{100 * count / highest:.1f}%"></div></td></tr>'
        for name, count in counts[:max_rows]
    )
    others = counts[max_rows:]
    if others:
        rows += f"<tr><th>and {len(others):,} more</th><td>{sum(count for _, count in others):,}</td><td></td></tr>"
    return f"<div><h3>{escaped(title)}</h3><table>{rows}</table></div>"


def _notes(title: str, notes: Iterable[str]) -> str:
    items = "".join(f"<li>{escaped(note, longest=None)}</li>" for note in notes)
    return f'<section class="notes"><h2>{title}</h2><ul>{items}</ul></section>' if items else ""


def _more(number: int, noun: str = "file") -> str:
    return f'<p class="more">and {number:,} more {noun}{"s" * (number != 1)}</p>' if number > 0 else ""


def _name(name: str) -> str:
    """Return a name as HTML that breaks after its slashes and underscores where it is too long."""
    return escaped(name, longest=None).replace("/", "/<wbr>").replace("_", "_<wbr>")
