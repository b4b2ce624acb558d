"""What is shipped: a wheel that works outside the checkout, and public names that exist."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keras_oocore as ko

ROOT = Path(__file__).parent.parent


def test_every_public_name_exists_and_has_a_docstring():
    for name in ko.__all__:
        assert getattr(ko, name).__doc__
        assert name in dir(ko)


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'ImageFolderSequenze'"):
        ko.ImageFolderSequenze  # noqa: B018


def test_a_wheel_builds_installs_and_runs_outside_the_checkout(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "keras_oocore"):
        (source / name).symlink_to(ROOT / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", tmp_path, source], check=True, timeout=500)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", site, wheel], check=True, timeout=500)
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
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=500,
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
        timeout=300,
    )
    assert child.returncode != 0
    assert "keras_oocore needs Python 3.11, 3.12 or 3.13, and found Python 3.10.2. Name another:" in child.stderr
    assert f"make {goal} PYTHON=/path/to/python3.12" in child.stderr
    assert not (tmp_path / ".venv").exists()
