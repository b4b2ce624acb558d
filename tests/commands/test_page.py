"""docs/command_line.md: its commands run, and print what the page shows."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_oocore import cli

PAGE = Path(__file__).parents[2] / "docs" / "command_line.md"
CLASSES = ("Charlock", "Maize", "Sugar_beet")


def commands_of_the_page():
    """Each command of the page, and what it prints."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for part in block.split("$ keras-oocore ")[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def without_sizes(text):
    """Text without sizes of files and values of cells, which differ here."""
    text = re.sub(r"[\d.]+ (k?B|MB)", "SIZE", text)
    text = re.sub(r"Rescaling\([\d.]+, offset=[\d.]+\)", "Rescaling(STD, offset=MEAN)", text)
    return re.sub(r"(?m)^(  \w+ +(?:float32|string) ).*", r"\1", text)


@pytest.fixture
def data(in_tmp_path):
    """The data that the page names: 120 images, and 300 rows."""
    for number in range(120):
        path = Path("plant_seedlings", CLASSES[number % 3], f"{number:03d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (260, 240), number).save(path)
    sizes = np.random.default_rng(0).integers(50, 400, 300) * 10
    rows = [
        f"{7129300 + i:010d},{size},{'' if i % 30 == 29 else i % 5},{('Kent', 'Renton')[i % 2]},{200.0 * size}"
        for i, size in enumerate(sizes.tolist())
    ]
    Path("houses.csv").write_text("\n".join(["id,sqft_living,bedrooms,city,price", *rows, ""]))


def test_commands_print_what_the_page_shows(data, run):
    commands = list(commands_of_the_page())
    assert len(commands) > 10
    for command, shown in commands:
        status, output, error = run(*shlex.split(command))
        assert status == 0, error
        assert without_sizes(output) == without_sizes(shown), command


def test_the_page_has_a_section_for_each_command():
    sections = re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sections == [command.__name__.rpartition(".")[2] for command in cli.COMMANDS]
