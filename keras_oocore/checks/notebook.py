"""Shows a report in a notebook: what was found, with the thumbnails of a few groups."""

import os

from keras_oocore.checks.sections import Group, ReportContent, Section, ShownFile
from keras_oocore.core import html
from keras_oocore.core.text import counted
from keras_oocore.images.thumbnail import thumbnail_of_file

MAX_GROUPS = 4  # per section: at most about 50 files are read
MAX_FILES = 4
MAX_LISTED = 8
TITLE = "margin-top:10px;"
GROUP = "display:inline-block;vertical-align:top;margin:4px 24px 4px 0;max-width:340px;"


def as_html(report: ReportContent) -> str:
    """Return a report as HTML."""
    against = f" against {report.against}" if report.against else ""
    sections = report.sections(MAX_LISTED, MAX_FILES)
    more = 'to_html("report.html") writes a page with more of them, and with what to do.'
    return html.page(
        html.heading("Check", f"of {report.data}{against}: {report.amount}"),
        *map(_section, sections),
        *(html.note(f"Not checked: {note}") for note in report.not_checked),
        html.note(more if sections else "Nothing was found."),
    )


def _section(section: Section) -> str:
    title = html.Html(f'<div style="{TITLE}"><b>{html.escaped(section.title)}</b> {html.escaped(section.count)}</div>')
    if section.as_list:
        return title + "".join(_list(group, section.noun) for group in section.groups)
    shown = section.groups[:MAX_GROUPS] if section.is_problem else section.groups
    more = section.num_groups - len(shown)
    groups = "".join(f'<div style="{GROUP}">{_files(group, section)}</div>' for group in shown)
    return title + groups + (html.note(f"and {counted(more, 'more group')}") if more else "")


def _list(group: Group, noun: str) -> str:
    title = f'<div style="{html.FAINT}">{html.escaped(group.title)}</div>' if group.title else ""
    return title + html.facts((file.name, file.detail) for file in group.files) + _more(group, MAX_LISTED, noun)


def _files(group: Group, section: Section) -> str:
    pictures, others = [], []
    for file in group.files[:MAX_FILES]:
        uri = thumbnail_of_file(file.path) if file.path is not None else None
        if uri is None:
            others.append(file.name)
        else:
            pictures.append(html.Picture(uri, _caption(file, section), f"{file.name} {file.detail}".strip()))
    title = html.Html(f'<div style="{html.FAINT}">{html.escaped(group.title)}</div>')
    names = html.note(f"no picture: {', '.join(others)}") if others else ""
    return title + html.strip(pictures) + names + _more(group, MAX_FILES)


def _caption(file: ShownFile, section: Section) -> str:
    """Return the class of a file if it is in question, otherwise its name."""
    return file.label if section.key == "conflicts" else os.path.basename(file.name)


def _more(group: Group, max_files: int, noun: str = "file") -> str:
    more = group.num_files - min(max_files, len(group.files))
    return html.note(f"and {counted(more, f'more {noun}')}") if more else ""
