"""The site: it builds without a warning, has every public name once, and quotes messages and rates as they are."""

import ast
import builtins
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import keras_oocore as ko

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]


TIMES = "\N{MULTIPLICATION SIGN}"
VALUE = "\0"  # what a template has in place of a value


def sentences(text):
    text = re.sub(rf"(?<=[.?;]){VALUE}(?= |$)", "", text)  # a sentence that may follow
    return [sentence for sentence in re.split(rf"(?<=[.?;]) +(?=[A-Z`'\"{VALUE}])", text) if sentence]


@pytest.fixture(scope="module")
def is_of_the_package():
    """A function: whether the package writes a sentence. Values in it may differ."""
    templates = set()
    for path in (ROOT / "keras_oocore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node] if isinstance(node, ast.Constant) else []
            texts = [getattr(part, "value", None) for part in parts]
            whole = "".join(text if isinstance(text, str) else VALUE for text in texts)
            templates.update(tuple(sentence.split(VALUE)) for sentence in sentences(whole.strip()))

    longest = {fixed: max(fixed, key=len) for fixed in templates}

    def is_of_the_package(sentence):
        candidates = [
            fixed for fixed, part in longest.items() if len(part) > (4 if fixed[0] else 12) and part in sentence
        ]
        patterns = [".*".join(map(re.escape, fixed)) for fixed in candidates]
        return any(re.fullmatch(f"(?:.*: )?{pattern}", sentence) for pattern in patterns)

    return is_of_the_package


def messages_of_troubleshooting():
    text = (DOCS / "troubleshooting.md").read_text()
    return [" ".join(block.split()) for block in re.findall(r"^```\n(\w+: .*?)\n```$", text, re.MULTILINE | re.DOTALL)]


def test_there_is_help_for_twenty_messages():
    text = (DOCS / "troubleshooting.md").read_text()
    assert len(messages_of_troubleshooting()) == text.count("\n### ") >= 20


@pytest.mark.parametrize("message", messages_of_troubleshooting(), ids=lambda message: message[:50])
def test_a_message_of_troubleshooting_is_one_of_the_package(message, is_of_the_package):
    kind, _, text = message.partition(": ")
    assert kind in ko.__all__ or issubclass(getattr(builtins, kind), Exception)
    for sentence in sentences(text):
        assert is_of_the_package(sentence), sentence


@pytest.mark.parametrize("sentence", ["The dog is gone.", "The size was 3, is 4.", "Use `x` now."])
def test_a_made_up_sentence_is_not_of_the_package(sentence, is_of_the_package):
    assert not is_of_the_package(sentence)


def test_every_public_name_is_on_one_api_page():
    pages = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    named = re.findall(r"^\.\. auto\w+:: keras_oocore\.(\w+)(?:\(\))?$", pages, re.MULTILINE)
    assert sorted(named) == sorted(ko.__all__)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it: a warning, or a link that leads nowhere, is an error."""
    folder = tmp_path_factory.mktemp("site")
    child = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", DOCS, folder, "-d", folder / ".doctrees"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert child.returncode == 0, child.stderr
    return folder


def test_the_site_has_every_page_and_leads_to_it(site):
    front = (site / "index.html").read_text()
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert (site / name).exists()
        assert f'href="{name}"' in front or page.parent.name == "formats" or name == "index.html", name


def test_api_pages_show_every_argument_and_method(site):
    pages = {path.stem: path.read_text() for path in (site / "api").glob("*.html")}
    together = "".join(pages.values())
    for name in ko.__all__:
        assert f'id="keras_oocore.{name}"' in together, name
    inherited = ("ImageFolderSequence.split", "ImageFolderSequence.pack", "ArraySequence.state_dict", "Manifest.split")
    for method in (*inherited, "CSVChunkSequence.summary", "CSVChunkSequence.partition"):
        assert f'id="keras_oocore.{method}"' in together, method
    for internal in ("on_epoch_end", "num_batches", "max_queue_size", "adopt_seed"):
        assert f'ImageFolderSequence.{internal}"' not in together
    mangled = (">Type<span", "Return type<span")  # of which napoleon makes words before a colon
    for text in ("{shared}", "**shared", "@shares", "**arguments", "object at 0x", str(ROOT), *mangled):
        assert text not in together, text
    with_limit = re.findall(r'<span class="n"><span class="pre">memory_limit</span></span>', together)
    assert len(with_limit) == 7, "of five classes, two functions"
    assert 'href="preparation.html#keras_oocore.Manifest"' in pages["images"], "a type in a signature is a link"


def test_code_of_another_library_is_highlighted_as_python(site):
    assert '<div class="highlight-python' in (site / "coming_from.html").read_text()


def test_the_chart_has_a_bar_per_contestant_and_the_ratios(tmp_path):
    spec = importlib.util.spec_from_file_location("chart", ROOT / "benchmarks" / "chart.py")
    chart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chart)
    rates = {"keras_oocore": [100, 120, 110], "a": [50, 40, 55], "b": [200, 240, 220], "c": [9, 9, 9], "d": [1, 1, 1]}
    saved = {"unit": "images/s", "reference": "keras_oocore", "rates": rates}
    (tmp_path / "images_80.json").write_text(json.dumps(saved))

    chart.main(["--results", str(tmp_path), "--output", str(tmp_path / "pictures" / "speed.svg")])

    svg = ElementTree.parse(tmp_path / "pictures" / "speed.svg").getroot()
    bars = svg.findall(".//{*}rect")
    assert [float(bar.get("width")) / float(bars[0].get("width")) for bar in bars] == pytest.approx(
        [1, 0.5, 50 / 220, 9 / 220], abs=0.01
    )
    assert len({bar.get("x") for bar in bars}) == 1, "all bars begin at 0"
    texts = [text.text for text in svg.findall(".//{*}text")]
    assert texts[1:] == [
        *("b", f"220 (ours is 0.50 {TIMES})", "keras_oocore", "110 images/s", "a", f"50 (ours is 2.0 {TIMES})"),
        *("c", f"9 (ours is 12 {TIMES})"),
    ]
    with pytest.raises(SystemExit, match="nothing to draw"):
        chart.main(["--results", str(tmp_path / "pictures")])
