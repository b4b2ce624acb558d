"""What a user of the package meets first: public names, arguments, type checkers, and a wheel that works."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_oocore as ko

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_oocore"
TIMEOUT = 500  # seconds for a child process, on a busy machine
SEQUENCES = ("ArraySequence", "CSVChunkSequence", "ImageFolderSequence", "NpyManifestSequence")
WITH_SHARED_ARGUMENTS = (*SEQUENCES, "open_packed", "image_dataset_from_directory")


# Names


def test_dir_shows_the_public_names_alone():
    assert set(dir(ko)) == set(ko.__all__)
    assert len(ko.__all__) == len(set(ko.__all__))


def test_every_public_name_exists_and_has_a_docstring():
    for name in ko.__all__:
        assert getattr(ko, name).__doc__


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'ImageFolderSequenze'"):
        ko.ImageFolderSequenze  # noqa: B018


def modules_of_the_drawing():
    """The modules in the drawing of keras_oocore/README.md, as paths such as `tables/csv/scan`."""
    drawing = (PACKAGE / "README.md").read_text().split("```")[1]
    top = folder = None
    for line in drawing.splitlines():
        found = re.fullmatch(r"(?P<indent> *)(?:(?P<folder>\w+)/ +)?(?P<modules>\w+(?:  \w+)*)(?: {3,}.*)?", line)
        if found is None:
            continue
        if found["folder"]:
            top = top if found["indent"] else found["folder"]
            folder = f"{top}/{found['folder']}" if found["indent"] else top
        yield from (f"{folder}/{name}" if folder else name for name in found["modules"].split())


def test_the_drawing_has_every_module_in_its_folder():
    modules = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}

    drawn = list(modules_of_the_drawing())
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {module for module in modules if not module.endswith("__init__")}


# Arguments


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("ImageFolderSequence", dict(image_size=(256, 256), batch_size=32, cache=None, workers=None, shuffle=True)),
        ("NpyManifestSequence", dict(label_mode="raw", reader=None, on_error="raise", overwrite_cache=False)),
        ("ArraySequence", dict(label_mode="raw", rescale=None, dtype=None, class_weight=None, max_queue_size=10)),
        ("CSVChunkSequence", dict(missing="error", delimiter=",", batch_size=100, seed=None, memory_limit=None)),
        ("open_packed", dict(label_mode="as packed", sample_weight=None, transform=None, last_batch="keep")),
        ("image_dataset_from_directory", dict(dtype="float32", verbose=True, subset=None, workers=None)),
    ],
)
def test_the_signature_shows_every_argument_with_its_default(name, defaults):
    parameters = inspect.signature(getattr(ko, name)).parameters
    shown = {argument: parameters[argument].default for argument in defaults}

    assert shown == defaults
    assert not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters.values())
    for argument in parameters:
        assert re.search(rf"^ {{8}}{argument}: [A-Z`*]", getattr(ko, name).__doc__, re.MULTILINE), argument
    assert "{" + "shared}" not in getattr(ko, name).__doc__


@pytest.mark.parametrize("name", SEQUENCES)
def test_help_shows_every_argument(name):
    assert "memory_limit: int | str | None = None" in str(inspect.signature(getattr(ko, name).__init__))
    assert "*args" not in str(inspect.signature(getattr(ko, name)))


@pytest.mark.parametrize("name", WITH_SHARED_ARGUMENTS)
def test_a_misspelt_argument_is_an_error_with_the_nearest_name(name):
    with pytest.raises(ko.OptionError) as caught:
        getattr(ko, name)("data", bach_size=3)
    expected = f"{name} has no argument `bach_size`. Did you mean 'batch_size'? Received: bach_size=3"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("name", "argument", "word"),
    [
        ("ImageFolderSequence", "target_size", "image_size"),
        ("ImageFolderSequence", "img_size", "image_size"),
        ("ImageFolderSequence", "class_mode", "label_mode"),
        ("ImageFolderSequence", "y", "labels"),
        ("image_dataset_from_directory", "class_mode", "label_mode"),
        ("NpyManifestSequence", "y", "labels"),
        ("ArraySequence", "y", "labels"),
        ("CSVChunkSequence", "y", "target"),
        ("CSVChunkSequence", "sep", "delimiter"),
        ("CSVChunkSequence", "usecols", "features"),
        ("CSVChunkSequence", "na_values", "null_values"),
        ("CSVChunkSequence", "chunksize", "batch_size"),
    ],
)
def test_words_of_other_libraries_are_answered(name, argument, word):
    with pytest.raises(ko.OptionError, match=f"{name} has no argument `{argument}`. Use `{word}` instead. Received: "):
        getattr(ko, name)("data", **{argument: 1})


def test_options_of_loading_are_keyword_only():
    with pytest.raises(TypeError, match="positional arguments"):
        ko.ArraySequence(np.zeros((3, 2)), None, "raw", None, 32)


def test_subset_both_says_what_to_type(photos):
    with pytest.raises(ko.OptionError) as caught:
        ko.ImageFolderSequence(photos, validation_split=0.2, subset="both", seed=0)
    assert "train, val = sequence.split(validation_split=0.2)" in str(caught.value)
    assert 'ko.image_dataset_from_directory(..., subset="both")' in str(caught.value)


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        ("map", "transform=function"),
        ("cache", 'cache="DIR"'),
        ("prefetch", "batches are already made ahead in threads"),
        ("take", "steps_per_epoch=n"),
    ],
)
def test_methods_of_tf_data_are_errors_that_say_what_to_type(method, instead, photos):
    train = ko.image_dataset_from_directory(photos, image_size=(4, 4), verbose=False)
    with pytest.raises(AttributeError, match=f"has no attribute '{method}'. Instead: ") as error:
        getattr(train, method)
    assert instead in str(error.value)


# Type checkers

RIGHT = """
import numpy as np

import keras_oocore as ko

images = ko.ImageFolderSequence("photos", ["a", "b"], image_size=(8, 8), batch_size=3, shuffle=False, seed=0)
train, val = images.split(validation_split=0.2)
rows = ko.CSVChunkSequence("t.csv", target="y", batch_size=100, cache="cache")
arrays = ko.ArraySequence(np.zeros((3, 2)), labels=None, dtype="float32")
files = ko.NpyManifestSequence(["a.npy"], labels=[1], workers=2)
packed = ko.open_packed("packed", rescale=1 / 255)
packed.verify()
one, other = ko.image_dataset_from_directory("photos", subset="both", validation_split=0.2, seed=0)
one.split(validation_split=0.5)
alone = ko.image_dataset_from_directory("photos", "inferred", "int", batch_size=4)
alone.split(validation_split=0.5)
training = ko.image_dataset_from_directory("photos", subset="training", validation_split=0.2, seed=0)
training.pack("packed")
by_name: str = input()
perhaps_two = ko.image_dataset_from_directory("photos", subset=by_name, validation_split=0.2, seed=0)
"""
WRONG = """
import keras_oocore as ko

ko.ImageFolderSequence("d", bach_size=3)
ko.CSVChunkSequence("t.csv", target="y", bach_size=3)
ko.open_packed("d", bach_size=3)
ko.image_dataset_from_directory("d", subset="both", bach_size=3)
ko.image_dataset_from_directory("d", subset="both").pack("packed")
"""


@pytest.fixture
def checked(tmp_path):
    """A function that checks RIGHT and WRONG with a type checker. It returns the messages, all of them about WRONG."""

    def checked(*command):
        (tmp_path / "right.py").write_text(RIGHT)
        (tmp_path / "wrong.py").write_text(WRONG)
        (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
        child = subprocess.run(
            [*command, "right.py", "wrong.py"],
            cwd=tmp_path,
            env={**os.environ, "MYPYPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        messages = child.stdout + child.stderr
        assert child.returncode == 1, messages
        assert "right.py:" not in messages, messages
        return messages

    return checked


def test_mypy_finds_a_misspelt_argument(checked):
    pytest.importorskip("mypy")
    mypy = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", "--config-file="]

    messages = checked(*mypy)
    for line, name in ((4, "ImageFolderSequence"), (5, "CSVChunkSequence"), (6, "open_packed")):
        message = (
            f'wrong.py:{line}: error: Unexpected keyword argument "bach_size" for "{name}"; did you mean "batch_size"?'
        )
        assert message in messages
    assert re.search(r'wrong\.py:7: error: No overload variant of "image_dataset_from_directory"', messages), messages
    assert re.search(r'wrong\.py:8: error: "tuple\[.*" has no attribute "pack"', messages), messages


def test_pyright_finds_a_misspelt_argument(checked):
    pytest.importorskip("pyright")
    pyright = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    if subprocess.run([*pyright[:3], "--version"], capture_output=True, timeout=TIMEOUT).returncode:
        pytest.skip("pyright cannot be started here: it needs node, or a network to install itself")

    messages = checked(*pyright)
    for line in (4, 5, 6):
        assert re.search(rf'wrong\.py:{line}:\d+ - error: No parameter named "bach_size"', messages), messages
    assert re.search(r'wrong\.py:7:\d+ - error: No overloads for "image_dataset_from_directory"', messages), messages
    assert re.search(r'wrong\.py:8:\d+ - error: Cannot access attribute "pack" for class "tuple', messages), messages


# Installation


def test_a_wheel_builds_installs_and_runs_outside_the_checkout(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "keras_oocore"):
        (source / name).symlink_to(ROOT / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", tmp_path, source], check=True, timeout=TIMEOUT)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    options = ["--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "install", *options, "--target", site, wheel], check=True, timeout=TIMEOUT)
    assert (site / "keras_oocore" / "py.typed").exists()
    script = """
import numpy as np, keras_oocore as ko
for name in ("cat", "dog"):
    np.save(f"{name}.npy", np.ones(3, "float32"))
batches = ko.NpyManifestSequence(["cat.npy", "dog.npy"], [0, 1], directory=".")
print(ko.__file__ if batches[0][0].sum() == 6 else "wrong")
"""
    child = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site), "KERAS_BACKEND": "numpy"},  # which is imported fastest
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert Path(child.stdout.strip()).is_relative_to(site), child.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("goal", ["demo", "test", "quick"])
def test_an_unsupported_python_gets_a_clear_message(goal, tmp_path):
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "tail"):
        (programs / name).symlink_to(shutil.which(name))
    (programs / "python3").write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.2 || exit 1\n')
    (programs / "python3").chmod(0o755)
    child = subprocess.run(
        [shutil.which("make"), goal],
        cwd=tmp_path,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert child.returncode != 0
    assert "keras_oocore needs Python 3.11, 3.12 or 3.13, and found Python 3.10.2. Name another:" in child.stderr
    assert f"make {goal} PYTHON=/path/to/python3.12" in child.stderr
    assert not (tmp_path / ".venv").exists()
