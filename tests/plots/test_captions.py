"""Captions in lines that fit above a picture."""

import pytest

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")

from keras_oocore.plots.captions import width, wrapped


@pytest.mark.parametrize(
    "text",
    ["", "cat", "a b c d e f g h i", "W" * 100, "site/2021-07-09/camera_left.png", "日本 ein Wort", "\t a \n b "],
)
@pytest.mark.parametrize("most_lines", [1, 3])
def test_lines_fit(text, most_lines):
    lines = wrapped(text, 60, 8, most_lines)

    assert len(lines) <= most_lines
    assert all(line.strip() and width(line, 8) <= 60 for line in lines)
    if "…" not in "".join(lines):
        assert "".join(lines).replace(" ", "") == "".join(text.split())


def test_lines_end_between_words_and_after_punctuation_of_long_words():
    assert wrapped("Common_Chickweed, Fat_Hen", 100, 8) == ["Common_Chickweed,", "Fat_Hen"]
    assert wrapped("Small-flowered_Cranesbill", 70, 8) == ["Small-flowered_", "Cranesbill"]


def test_the_end_of_a_long_name_stays():
    lines = wrapped("recording_of_a_long_session_in_the_field_00017.png", 70, 8, 2)

    assert lines[1].startswith("…")
    assert lines[1].endswith("00017.png")
