"""No command fails at names of files and columns that the terminal cannot show, or that are not valid UTF-8."""

import io
import sys

import pytest
from drawing import draw

from keras_oocore import cli
from keras_oocore.commands import opening


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are valid UTF-8")
@pytest.mark.parametrize(
    "command",
    [
        "info photos",
        "verify photos",
        "flatten photos flat",
        "split photos split --no-stratify",
        "pack photos packed --image-size 4",
        "profile photos --image-size 4 --num-batches 1",
        "info größen.csv",
        "info häuser",
        "pack größen.csv cache --target größe",
    ],
)
def test_names_that_a_terminal_of_ascii_cannot_show(command, in_tmp_path, monkeypatch):
    for name in ("Straße/日本.png", "cat/\udcff.png", "cat/a.png", "Straße/b.png"):
        draw(in_tmp_path / "photos" / name, 1)
    (in_tmp_path / "größen.csv").write_text("größe,price\n" + "1,2\n" * 20, "utf-8")
    printed = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(opening, "prefer_installed", lambda: None)  # Keras is imported already

    status = cli.main(command.split())

    printed.flush()
    assert status == (2 if "häuser" in command else 0)
