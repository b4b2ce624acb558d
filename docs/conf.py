"""The site: `make docs` builds it from the pages in this folder and from the docstrings of the package.

Sphinx with autodoc imports the package, so it sees the arguments that decorators add to signatures and docstrings. The
generators for MkDocs read the source instead, and would show `**shared`.
"""

import os
import re
from collections.abc import Mapping

os.environ["KERAS_BACKEND"] = "jax"  # of the extra `docs`: Keras imports a backend, and signatures are the same on all

import keras
from sphinx.domains.python import PyClasslike
from sphinx.pycode import ModuleAnalyzer

import keras_oocore as ko

project = "keras_oocore"
author = "The keras_oocore authors"
project_copyright = author
version = release = ko.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
nitpicky = True  # a reference that leads nowhere is a warning, and `make docs` turns warnings into errors
nitpick_ignore_regex = [
    (r"py:.*", r"(?!keras_oocore\.)\w+\..*"),  # classes of other packages, whose pages are elsewhere
    # Types in signatures that users do not name: base classes, and what a docstring describes in words.
    (r"py:class", r"keras_oocore\..*\.(OutOfCoreSequence|LabelledSequence|FileReader|Transform)"),
    (r"py:class", r"keras_oocore\..*\.(DisplayString|HtmlString|Settings|TableSummary)"),
    (r"py:class", r"Figure"),  # of matplotlib, which the extra `docs` does not install
]

myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4  # the anchors of GitHub, so that a link works there and here
myst_links_external_new_tab = False
highlight_language = "text"  # of code blocks that name no language
copybutton_exclude = ".linenos, .gp, .go"  # prompts and outputs are not copied

autodoc_default_options = {"members": True, "inherited-members": "PyDataset", "member-order": "groupwise"}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 60  # longer signatures have a line per argument
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"keras_oocore {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "monokai"

# What Keras and the package call, and users do not.
INTERNAL = {
    "amount",
    "extent",
    "overview",
    "rows_of_table",
    "sections",
    "adopt_seed",
    "cursor",
    "in_order",
    "removable",
    "removable_rows",
    "require_all_indices",
    "reset_after_fork",
    "rows_and_files",
    *(name for name in dir(keras.utils.PyDataset) if not name.startswith("_")),
    *(name for name in dir(Mapping) if not name.startswith("_")),  # of `Predictions`
}
# A name in a docstring → what it links to. The last two are classes of results, which are documented but not imported.
LINKS = {name: f"keras_oocore.{name}" for name in ko.__all__} | {
    "PackedSequence": "keras_oocore.sequences.packed.PackedSequence",
    "Profile": "keras_oocore.batches.profile.Profile",
}
# Where a class is defined → where users find it.
PUBLIC = {f"{thing.__module__}.{thing.__qualname__}": name for name in ko.__all__ for thing in [getattr(ko, name)]}
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
NAME = re.compile(r"(?:ko\.)?(?P<path>\w+(?:\.\w+)?)(?:\(\))?")


def as_code(match: re.Match) -> str:
    """Turn code between backticks, as Markdown has it, into reStructuredText: a link if it is a public name."""
    text = match[1]
    named = NAME.fullmatch(text)
    name, _, attribute = named["path"].partition(".") if named else ("", "", "")
    if name not in LINKS or (attribute and not hasattr(getattr(ko, name), attribute)):
        return f"``{text}``"
    return f":py:obj:`{text} <{LINKS[name]}{'.' * bool(attribute)}{attribute}>`"


def convert_docstring(app, what, name, thing, options, lines: list[str]) -> None:
    """Convert the prose of a docstring, which has code between backticks, and leave its examples alone."""
    prose, example, rest = "\n".join(lines).partition(">>> ")
    prose = CODE.sub(as_code, prose)
    # A line of nothing. In the line after it, napoleon does not take the words before a colon for a type.
    prose = re.sub(r"^( *)Returns:\n( +)", r"\1Returns:\n\2\\ \n\2", prose, flags=re.MULTILINE)
    nothing = "\\ \n" if what == "property" else ""
    lines[:] = (nothing + prose + example + rest).split("\n")


def skip_internal(app, what, name, thing, skip, options) -> bool | None:
    """Leave out methods that are not for users."""
    return True if what == "class" and name in INTERNAL else None


def link_to_public_name(app, env, node, contnode):
    """Lead the name of a class in a signature to the page of its public name."""
    name = PUBLIC.get(node["reftarget"])
    if node["refdomain"] != "py" or name is None:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", f"keras_oocore.{name}", node, contnode)


def show_one_signature() -> None:
    """Show what users can type, and not the overloads that type checkers read."""
    things = [getattr(ko, name) for name in ko.__all__]
    modules = {part.__module__ for thing in things for part in getattr(thing, "__mro__", [thing])}
    for module in modules:
        if module.startswith("keras_oocore."):
            analyzer = ModuleAnalyzer.for_module(module)  # Sphinx keeps it, and reads it again
            analyzer.analyze()
            analyzer.overloads.clear()


def setup(app) -> None:
    show_one_signature()
    for field in PyClasslike.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-docstring", convert_docstring, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_internal)
    app.connect("missing-reference", link_to_public_name)
