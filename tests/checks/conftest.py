"""Reports of checks, made by hand over a few images."""

import numpy as np
import pytest
from PIL import Image

from keras_oocore.checks.report import CheckReport

SCRIPT = "<script>alert('x')</script>"


@pytest.fixture
def make_report():
    """A function that makes a report of findings, for `data` in `photos`."""

    def make(**found):
        nothing = {
            "data": "photos",
            "against": None,
            "num_files": 4,
            "class_counts": {},
            "formats": {},
            "sizes": {},
            "bad": {},
            "duplicates": [],
            "conflicts": [],
            "leaks": [],
            "unusual": {},
            "groups": np.arange(4),
        }
        return CheckReport(**{**nothing, **found})

    return make


@pytest.fixture
def images(tmp_path):
    """A function that writes images, and returns the path of each name."""

    def write(*names):
        paths = {}
        for number, name in enumerate(names):
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60, 40), (10 * number, 0, 0)).save(path, "PNG")
            paths[name] = str(path)
        return paths

    return write
