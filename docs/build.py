"""Build the pages of the API from the docstrings: `python docs/build.py [folder]`, by default into docs/api."""

import dataclasses
import sys
import warnings
from pathlib import Path

import pdoc
import pdoc.render

import keras_oocore
from keras_oocore.sequences.base import OutOfCoreSequence


def in_reading_order(names: list[str]) -> list[str]:
    """What a user meets first comes first: Sequences, the manifest, functions, then errors."""

    def rank(name: str) -> int:
        thing = getattr(keras_oocore, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            return 3
        return 2 if not isinstance(thing, type) else 0 if issubclass(thing, OutOfCoreSequence) else 1

    return sorted(names, key=lambda name: (rank(name), name))


def build(folder: Path) -> Path:
    """The page of the package, written below `folder`; a warning of pdoc is an error."""
    keras_oocore.OutOfCoreSequence = OutOfCoreSequence  # not public, but what the Sequences share is described there
    keras_oocore.__all__ = in_reading_order([*keras_oocore.__all__, "OutOfCoreSequence"])
    for name in keras_oocore.__all__:
        thing = getattr(keras_oocore, name)
        if not dataclasses.is_dataclass(thing):  # whose fields pdoc finds in its source alone
            thing.__module__ = "keras_oocore"  # where users find it; pdoc then links to it
        setattr(keras_oocore, name, thing)  # pdoc looks no further than the module's dict
    pdoc.render.configure(docformat="google", footer_text=f"keras_oocore {keras_oocore.__version__}", show_source=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("keras_oocore", output_directory=folder)
    return folder / "keras_oocore.html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "api"))
