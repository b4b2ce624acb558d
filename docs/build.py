"""Build the API pages from the docstrings: `python docs/build.py [folder]`, by default into docs/api."""

import dataclasses
import sys
import warnings
from pathlib import Path

import pdoc
import pdoc.doc
import pdoc.render

import keras_oocore
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.files import FileSequence
from keras_oocore.sequences.labelled import LabelledSequence
from keras_oocore.sequences.packed import PackedSequence

# Not public, but their methods are those of the Sequences that users make.
BASES = (OutOfCoreSequence, LabelledSequence, FileSequence, PackedSequence)


def reading_order(names: list[str]) -> list[str]:
    """Return the names in the order of the page: Sequences, their bases, other classes, functions, and errors."""

    def rank(name: str) -> int:
        thing = getattr(keras_oocore, name)
        if not isinstance(thing, type):
            return 3
        if issubclass(thing, Exception):
            return 4
        return 1 if thing in BASES else 0 if issubclass(thing, OutOfCoreSequence) else 2

    return sorted(names, key=lambda name: (rank(name), name))


def show_shared_arguments(thing) -> None:
    """Let pdoc, which reads the function within a decorator, see the signature and docstring that users see."""
    function = thing.__init__ if isinstance(thing, type) else thing
    if hasattr(function, "__wrapped__"):
        function.__doc__ = function.__doc__ or " "  # otherwise pdoc takes that of the base
        function.__wrapped__.__doc__ = function.__doc__
        function.__wrapped__.__signature__ = function.__signature__


def build(folder: Path) -> Path:
    """Write the page of the package to `folder` and return its path. A warning of pdoc is an error."""
    for base in BASES:
        setattr(keras_oocore, base.__name__, base)
        base.__init__.__doc__ = "@private"  # users do not call it
    keras_oocore.__all__ = reading_order([*keras_oocore.__all__, *(base.__name__ for base in BASES)])
    for name in keras_oocore.__all__:
        thing = getattr(keras_oocore, name)
        show_shared_arguments(thing)
        if not dataclasses.is_dataclass(thing):  # pdoc finds the fields of a dataclass in its source alone
            thing.__module__ = "keras_oocore"  # where users find it; pdoc then links to it
        setattr(keras_oocore, name, thing)  # pdoc reads the module's dict
    pdoc.doc.Function.decorators = pdoc.doc.Class.decorators = ()  # they are of no use to a reader
    pdoc.render.configure(docformat="google", footer_text=f"keras_oocore {keras_oocore.__version__}", show_source=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("keras_oocore", output_directory=folder)
    return folder / "keras_oocore.html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "api"))
