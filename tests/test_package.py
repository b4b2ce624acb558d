"""What a user of the package meets first: public names, arguments, and the files of a release and of the repository."""

import importlib
import inspect
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
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


def test_a_traceback_suggests_the_nearest_name():
    code = "import keras_oocore as ko; ko.ImageFolderSequenze"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=300)
    assert "Did you mean: 'ImageFolderSequence'?" in done.stderr


def test_every_module_is_imported_by_its_path():
    """No package has an attribute with the name of one of its modules: `import a.b.c as c` would find that instead."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(("keras_oocore", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        if path.name == "__main__.py":  # it runs the program
            continue
        module, scope = importlib.import_module(name), {}
        exec(f"import {name} as found", scope)
        assert scope["found"] is module, name
    assert inspect.isfunction(ko.check)


def test_a_function_that_uses_the_package_can_be_sent_to_another_process():
    cloudpickle = pytest.importorskip("cloudpickle")  # of Ray and Dask
    scope = {"__name__": "__main__", "ko": ko}
    exec("def of_the_package():\n    return ko.Manifest", scope)

    assert pickle.loads(cloudpickle.dumps(scope["of_the_package"]))() is ko.Manifest
    assert pickle.loads(pickle.dumps(ko)) is ko


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
        ("ArraySequence", dict(label_mode="raw", rescale=None, dtype=None, class_weight=None, max_queue_size=None)),
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


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ImageFolderSequence", {"horizontal_flip": True}, 'Use transform=ko.augment(flip="horizontal").'),
        ("ImageFolderSequence", {"augment": True}, "Use transform=ko.augment("),
        (
            "ImageFolderSequence",
            {"x_col": "id"},
            "pass ko.Manifest.from_csv(table, x_col=",
        ),
        ("CSVChunkSequence", {"normalize": True}, "The model can begin with the layer rows.normalization()."),
    ],
)
def test_words_of_other_libraries_are_answered_with_code(name, arguments, message):
    with pytest.raises(ko.OptionError) as caught:
        getattr(ko, name)("data", **arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ko.ImageFolderSequence(directory="photos"),
            "ImageFolderSequence requires `data`: pass the folder, the files or the rows as the first argument. "
            "Received: directory='photos'",
        ),
        (
            lambda: ko.CSVChunkSequence("houses.csv", features=["sqft"]),
            "CSVChunkSequence requires `target`: name the column to predict, target='price', or pass target=None for "
            "rows without one. Received: features=['sqft']",
        ),
        (
            lambda: ko.ArraySequence(np.zeros(3)),
            "ArraySequence requires `labels`: pass one label per row, or labels=None. Received: nothing",
        ),
    ],
)
def test_missing_argument_is_an_error_that_says_what_to_pass(call, message):
    with pytest.raises(ko.OptionError) as caught:
        call()
    assert str(caught.value) == message


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
        ("head", "summary().head()"),
        ("class_indices", "class_names"),
        ("classes", "served_labels"),
        ("filepaths", "served_paths"),
        ("samples", "num_samples"),
        ("reset", "starts with the first batch"),
    ],
)
def test_methods_of_tf_data_and_attributes_of_flow_from_directory_are_errors_that_say_what_to_type(
    method, instead, photos
):
    train = ko.image_dataset_from_directory(photos, image_size=(4, 4), verbose=False)
    with pytest.raises(AttributeError, match=f"has no attribute '{method}'. Instead: ") as error:
        getattr(train, method)
    assert instead in str(error.value)


# Installation


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A wheel and a source archive, built as CONTRIBUTING.md says."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(PACKAGE, source / "keras_oocore", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "tests" / "fixtures").mkdir(parents=True)
    (source / "examples").mkdir()
    for name in ("tests/test_something.py", "tests/fixtures/photo.npy", "examples/torchrun.py"):
        (source / name).write_text("")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source]
    child = subprocess.run(build, capture_output=True, text=True, timeout=TIMEOUT)
    assert child.returncode == 0, child.stdout + child.stderr
    (wheel,), (archive,) = (source / "dist").glob("*.whl"), (source / "dist").glob("*.tar.gz")
    return wheel, archive


def files_of_the_package():
    paths = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_the_wheel_has_the_package_and_nothing_else(release):
    names = {name for name in zipfile.ZipFile(release[0]).namelist() if ".dist-info/" not in name}
    assert names == files_of_the_package()
    assert {"keras_oocore/py.typed", "keras_oocore/README.md"} < names
    assert release[0].stat().st_size < 1e6


def test_the_source_archive_has_the_package_and_its_documents_without_the_tests(release):
    with tarfile.open(release[1]) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    names = {name for name in names if ".egg-info/" not in name}
    documents = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "PKG-INFO"}
    assert names == files_of_the_package() | documents | {"setup.cfg", "pyproject.toml", "MANIFEST.in"}
    assert release[1].stat().st_size < 1e6


def test_twine_accepts_the_files_of_a_release(release, capsys):
    check = pytest.importorskip("twine.commands.check")
    failed = check.check([str(path) for path in release], strict=True)
    assert not failed, capsys.readouterr().out


def test_the_wheel_runs_outside_the_checkout(release, tmp_path):
    site = tmp_path / "site"
    shutil.unpack_archive(release[0], site, "zip")  # which is what pip does with a wheel of Python files
    (info,) = site.glob("*.dist-info")
    assert "Root-Is-Purelib: true" in (info / "WHEEL").read_text()
    assert "keras-oocore = keras_oocore.__main__:main" in (info / "entry_points.txt").read_text()
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


# The repository


def constraint(name):
    """The tested version of a package, from constraints.txt."""
    (version,) = re.findall(rf"^{name}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return version


def parsed(path):
    return pytest.importorskip("yaml").safe_load((ROOT / path).read_text())


def test_the_version_of_a_citation_is_that_of_the_package():
    citation = parsed("CITATION.cff")
    assert citation["version"] == ko.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_changelog_has_the_version_of_the_package():
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert newest.startswith(f"[{ko.__version__}]") or f"What will be {ko.__version__}" in newest


def test_hooks_before_a_commit_use_the_tested_ruff():
    hooks = [hook for repository in parsed(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert [hook["entry"].split()[:2] for hook in hooks] == [["ruff", "check"], ["ruff", "format"]]
    assert all(hook["additional_dependencies"] == [f"ruff=={constraint('ruff')}"] for hook in hooks)


def test_continuous_integration_runs_every_supported_python():
    jobs = parsed(".github/workflows/tests.yml")["jobs"]
    classifiers = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text())
    assert jobs["tests"]["strategy"]["matrix"]["python"] == classifiers == ["3.11", "3.12", "3.13"]
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    assert {".ci/run", "make docs", "python -m build"} <= set(steps)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_asks_for_what_a_report_needs(form):
    page = parsed(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert {"name", "description", "body"} <= set(page)
    fields = {field["id"]: field for field in page["body"]}
    assert len(fields) == len(page["body"])
    for field in fields.values():
        assert field["type"] in ("textarea", "dropdown", "input", "checkboxes", "markdown")
        assert field["attributes"]["label"]
    assert "keras-oocore info --versions" in fields["versions"]["attributes"]["description"]
    required = {name for name, field in fields.items() if field["validations"]["required"]}
    assert required == {"bug": {"happened", "code", "versions", "threads", "again"}, "feature": {"job", "wish"}}[form]
