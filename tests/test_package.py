"""What is shipped: a wheel that works outside the checkout, and names that are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_oocore as ko

ROOT = Path(__file__).parent.parent


def test_every_public_name_is_there():
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
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", tmp_path, source], check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", site, wheel], check=True, timeout=300)
    assert (site / "keras_oocore" / "py.typed").exists()
    script = "import keras_oocore as ko; ko.ImageFolderSequence; print(ko.__file__)"
    child = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert Path(child.stdout.strip()).is_relative_to(site), child.stderr
