"""Whether the state in a checkpoint is one that a training saved."""

import json
import shutil
from pathlib import Path

import pytest

from keras_oocore.training.content import require_content
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.checkpoints import exclusive

FIXTURE = Path(__file__).parents[1] / "fixtures" / "format_1"


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint that `fit_resumable` wrote, with callbacks and metrics."""
    folder = shutil.copytree(FIXTURE / "fit_resumable" / "checkpoints", tmp_path / "checkpoints")
    with exclusive(folder) as saved:
        return saved.latest()


@pytest.mark.parametrize("kind", ["fit_resumable", "fit_partitions", "fit_phases"])
def test_what_a_training_saved_is_accepted(tmp_path, kind):
    folder = shutil.copytree(FIXTURE / kind / "checkpoints", tmp_path / "checkpoints")
    with exclusive(folder) as saved:
        assert saved.latest(require_content).state["kind"] == kind


def refuses(checkpoint, state=None, arrays=None):
    changed = Checkpoint(checkpoint.path, checkpoint.number, state or checkpoint.state, arrays or checkpoint.arrays)
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError, RecursionError)):
        require_content(changed)
    return True


def test_every_key_is_needed(checkpoint):
    for key in checkpoint.state:
        assert refuses(checkpoint, {name: value for name, value in checkpoint.state.items() if name != key})


@pytest.mark.parametrize("value", [5.5, "rubbish", [[]], {"a": 5}], ids=json.dumps)
def test_values_of_another_kind_are_refused(checkpoint, value):
    for key in checkpoint.state.keys() - {"data", "validations", "versions"}:
        if (key, type(value)) == ("kind", str):
            continue
        assert refuses(checkpoint, {**checkpoint.state, key: value}), key


@pytest.mark.parametrize("change", [{"epoch": -1}, {"epoch": "1"}, {"step": None}, {"another": 1}], ids=str)
def test_a_place_of_another_kind_is_refused(checkpoint, change):
    assert refuses(checkpoint, {**checkpoint.state, "place": {**checkpoint.state["place"], **change}})


def test_every_array_of_the_model_is_needed(checkpoint):
    for name in checkpoint.arrays:
        assert refuses(checkpoint, arrays={other: a for other, a in checkpoint.arrays.items() if other != name}), name
