"""Type checkers know every public name: in the code of README, in right and in wrong code, and in an installed package.

Both checkers run on the same files. The package is installed as from a wheel: its folder is in `site-packages`. Keras
has no types, so `typings/` declares it, and every report is about our names or about the code itself.
"""

import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
TIMEOUT = 500  # seconds for a child process, on a busy machine
pytestmark = pytest.mark.child  # the checkers are started by fixtures that tests choose while they run
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Rules about the text of the code, and not about types. They are off, because a page imports in each block.
NOT_TYPES = ("reportDuplicateImport", "reportUnusedExpression", "reportUnusedImport", "reportUnusedVariable")
# `PyDataset` is declared, because our Sequences inherit from it: attributes of an unknown base class are never wrong.
KERAS = """
    from typing import Any
    from . import utils as utils
    def __getattr__(name: str) -> Any: ...
"""
KERAS_UTILS = """
    from typing import Any
    class PyDataset:
        def __init__(self, workers: int = ..., use_multiprocessing: bool = ..., max_queue_size: int = ...) -> None: ...
    def __getattr__(name: str) -> Any: ...
"""
# Names that the code of README takes for granted.
DECLARED = """
from typing import Any
import keras
import keras_oocore as ko
import numpy as np
def made_before() -> Any: ...
model = made_before()
"""
RIGHT = """
    from typing import Any, Literal

    import numpy as np
    import numpy.typing as npt

    import keras_oocore as ko

    images = ko.ImageFolderSequence("photos", ["a", "b"], image_size=(8, 8), batch_size=3, shuffle=False, seed=0)
    train, val = images.split(validation_split=0.2)
    rows = ko.CSVChunkSequence("t.csv", target="y", batch_size=100, cache="cache", missing={"a": 0.0})
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


    def perhaps(subset: Literal["training", "both"]) -> None:
        ko.image_dataset_from_directory("photos", subset=subset, validation_split=0.2, seed=0)


    def brighter(x: npt.NDArray[np.uint8], y: Any, rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], Any]:
        return x + np.uint8(rng.integers(9)), y


    ko.ImageFolderSequence("photos", transform=brighter)
    ko.ImageFolderSequence("photos", transform=ko.per_sample(brighter))
    ko.ImageFolderSequence("photos", transform=lambda x, y, rng: (x, y))
    numbers: list[str] = images.file_paths
    kept: bool = images[0][0].shape == (3, 8, 8, 3)
    size = len(images.class_names) + len(images.manifest.class_names) + len(images.labels) + len(rows.class_names)
    names, labels = ko.load_arrays("prepared")
    ko.save_arrays("prepared", names[labels > 0])
    report = ko.check("houses.csv", against="test.csv")  # a table or images: its type depends on the file
    print(report.target_leaks, ko.check("photos").groups, ko.check(["a.csv", "b.csv"], columns=["size"]).drift)
    rows.without(ko.check(rows).duplicates).without(ko.check("t.csv", target="y").leaks)
    groups: npt.NDArray[np.int64] = ko.check(images.manifest, mirrored=True).groups
    first, *_ = ko.Manifest.from_arrays(["a.png"], [0]).split(validation_split=1)
    with images as opened:
        print(opened.seed + size, groups, first.class_names.index("a"), numbers, kept)
"""
WRONG = """
    import keras_oocore as ko

    ko.ImageFolderSequence("d", bach_size=3)
    ko.CSVChunkSequence("t.csv", target="y", bach_size=3)
    ko.open_packed("d", bach_size=3)
    ko.image_dataset_from_directory("d", subset="both", bach_size=3)
    ko.image_dataset_from_directory("d", subset="both").pack("packed")
    ko.fit_resumable(None, ko.open_packed("d"), 3, "checkpoints", save_every_batch=1)
    ko.open_packed("d").spilt(0.2)
    ko.ImageFolderSequence("d", label_mode="integer")
    ko.ImageFolderSequence("d", color_mode="RGB")
    ko.ImageFolderSequence("d", interpolation="cubic")
    ko.ImageFolderSequence("d", on_error="ignore")
    ko.ImageFolderSequence("d", shuffle="blocks")
    ko.ImageFolderSequence("d", data_format="channels")
    ko.ImageFolderSequence("d", last_batch="fill")
    ko.ImageFolderSequence("d", class_weight="even")
    ko.image_dataset_from_directory("d", subset="test")
    ko.CSVChunkSequence("t.csv", target="y", missing="zero")
    ko.CSVChunkSequence("t.csv", target="y", on_bad_row="raise")
    ko.flatten_images("d", mode="link")
    ko.ImageFolderSequence("d", transform=lambda x: x)
    ko.check("d", colums=["a"])
    ko.check(ko.CSVChunkSequence("t.csv", target="y")).groups
"""
MISSPELT = {4: "bach_size", 5: "bach_size", 6: "bach_size", 9: "save_every_batch"}


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder with the code of users, and an environment `.venv` in which the package is installed as from a wheel."""
    folder = tmp_path_factory.mktemp("user")
    site = environment(folder / ".venv")
    shutil.copytree(ROOT / "keras_oocore", site / "keras_oocore", ignore=shutil.ignore_patterns("__pycache__"))
    write = {
        "typings/keras/__init__.pyi": KERAS,
        "typings/keras/utils.pyi": KERAS_UTILS,
        "pyrightconfig.json": json.dumps(
            {"typeCheckingMode": "strict", "stubPath": "typings", **dict.fromkeys(NOT_TYPES, "none")}
        ),
        "readme.py": code_of(ROOT / "README.md"),
        "right.py": RIGHT,
        "wrong.py": WRONG,
    }
    for name, text in write.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


def environment(folder):
    """Make an environment with the libraries of this one, and return its `site-packages`."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "libraries.pth").write_text("\n".join([*libraries, ""]))
    return site


def code_of(page):
    """The code blocks of a page as one file, in which the names that the blocks take for granted are declared.

    Blocks of functions come first, because the text may define a function after its use. Their parameters and results
    become `Any`, because strict checkers require types. The body of a function that uses none of our names, and no
    variable of the page, is left out: what is reported there is about other libraries.
    """
    blocks = [ast.parse(block).body for block in PYTHON_BLOCK.findall(page.read_text())]
    blocks.sort(key=lambda body: not all(isinstance(node, DEFINITIONS) for node in body))
    statements = [*ast.parse(DECLARED).body, *itertools.chain(*blocks)]
    variables = names_in(*(line for line in statements if not isinstance(line, DEFINITIONS)))
    ours = {"ko", *(name.id for name in variables if isinstance(name.ctx, ast.Store))}
    for node in itertools.chain(*map(ast.walk, statements)):
        if isinstance(node, ast.FunctionDef):
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                argument.annotation = argument.annotation or ast.Name("Any")
            node.returns = node.returns or ast.Name("Any")
            body = list(names_in(*node.body))
            own = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}
            own |= {name.id for name in body if isinstance(name.ctx, ast.Store)}
            if not ({name.id for name in body} - own) & ours:
                node.body = [ast.Expr(ast.Constant(...))]
    return ast.unparse(ast.Module(statements, [])) + "\n"


def names_in(*nodes):
    return (node for node in itertools.chain(*map(ast.walk, nodes)) if isinstance(node, ast.Name))


def run(folder, *command):
    """Run a checker with the interpreter of these tests, without the checkout on the path."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    environ.update(MYPYPATH="typings", PYRIGHT_PYTHON_IGNORE_WARNINGS="1")
    # `pyright --verifytypes` has no other way to choose an interpreter than the path of programs.
    environ["PATH"] = os.pathsep.join([str(folder / ".venv" / "bin"), environ["PATH"]])
    command = [sys.executable, "-m", *command]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def pyright():
    """A function that runs pyright in a folder, with the environment there, and returns its parsed output."""
    pytest.importorskip("pyright")

    def pyright(folder, *options):
        python = folder / ".venv" / "bin" / "python"
        done = run(folder, "pyright", "--outputjson", "--pythonpath", str(python), *options)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return json.loads(done.stdout)

    return pyright


@pytest.fixture(scope="module")
def pyright_reports(user, pyright):
    """File → line → what pyright reports about it."""
    reports = {name: {} for name in ("readme.py", "right.py", "wrong.py")}
    for report in pyright(user, *reports)["generalDiagnostics"]:
        line = report["range"]["start"]["line"] + 1
        reports[Path(report["file"]).name].setdefault(line, []).append(f"{report['message']} ({report.get('rule')})")
    return reports


@pytest.fixture(scope="module")
def mypy_reports(user):
    """File → line → what mypy reports about it."""
    pytest.importorskip("mypy")
    reports = {name: {} for name in ("readme.py", "right.py", "wrong.py")}
    options = [
        "--strict",
        "--follow-imports=silent",
        "--ignore-missing-imports",
        "--config-file=",
        "--allow-redefinition",
    ]
    done = run(user, "mypy", *options, "--python-executable", str(user / ".venv" / "bin" / "python"), *reports)
    assert done.returncode < 2, done.stdout + done.stderr
    for name, line, message in re.findall(r"^(\w+\.py):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        reports[name].setdefault(int(line), []).append(message)
    return reports


@pytest.fixture(params=["pyright", "mypy"])
def reports(request):
    return request.getfixturevalue(f"{request.param}_reports")


@pytest.mark.parametrize("name", ["readme.py", "right.py"])
def test_nothing_is_reported_in_right_code(name, reports, user):
    lines = (user / name).read_text().splitlines()
    assert not {f"{number}: {lines[number - 1]}": messages for number, messages in reports[name].items()}


def test_every_wrong_line_is_reported(reports, user):
    wrong = [number for number, line in enumerate((user / "wrong.py").read_text().splitlines(), 1) if "ko." in line]
    assert sorted(reports["wrong.py"]) == wrong
    for line, argument in MISSPELT.items():
        assert f'"{argument}"' in "\n".join(reports["wrong.py"][line])


def test_every_public_name_has_a_complete_type(tmp_path, pyright):
    """`pip install -e` writes the path of the checkout into `site-packages`, which this test does by hand."""
    site = environment(tmp_path / ".venv")
    (site / "__editable__.keras_oocore.pth").write_text(f"{ROOT}\n")

    found = pyright(tmp_path, "--verifytypes", "keras_oocore", "--ignoreexternal")["typeCompleteness"]
    unknown = {
        symbol["name"]: [report["message"] for report in symbol["diagnostics"]]
        for symbol in found["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    }
    assert found["pyTypedPath"] == str(ROOT / "keras_oocore" / "py.typed")
    assert not unknown
    assert found["completenessScore"] == 1


def test_an_editable_installation_is_a_path_that_type_checkers_follow(tmp_path):
    """The default of setuptools is a hook of the import, which they cannot follow."""
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "keras_oocore"):
        (tmp_path / name).symlink_to(ROOT / name)
    build = "import sys; from setuptools.build_meta import build_editable; build_editable(sys.argv[1])"
    wheels = tmp_path / "wheels"
    subprocess.run(
        [sys.executable, "-c", build, wheels], cwd=tmp_path, check=True, timeout=TIMEOUT, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    (path,) = (tmp_path / "site").glob("*.pth")
    assert path.read_text().split() == [str(tmp_path)]
    assert not list((tmp_path / "site").glob("*.py"))
