"""The page of a report: complete in one file, small, and safe whatever the files are called."""

import os
import re
from html.parser import HTMLParser

import pytest
from frozen_disk import read_only_disk
from PIL import Image

import keras_oocore as ko
from keras_oocore.checks import page
from keras_oocore.checks.report import Copies, Leak

SCRIPT = "<script>alert('x')</script>"
QUOTES = """\"'><img src=x onerror=alert(1)> & ünïcode 種.png"""


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "nav", "a", "b"),
    *("section", "small", "pre", "code", "div", "ul", "li", "figure", "figcaption", "span", "wbr", "footer"),
    *("table", "tr", "th", "td"),
}
TIMES = "\N{MULTIPLICATION SIGN}"


class Elements(HTMLParser):
    """The elements of a page, which all must be closed."""

    VOID = ("meta", "img", "wbr")

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def text(self):
        return "".join(self.words)


def written(report, tmp_path, **options):
    path = report.to_html(tmp_path / "report.html", **options)
    return Elements(path.read_text(encoding="utf-8"))


def test_every_finding_is_shown_with_its_pictures(make_report, images, tmp_path):
    names = ("Maize/a.png", "Maize/b.png", "Charlock/a.png", "Maize/c.png")
    paths = images(*names)
    other = images("val/Maize/x.png")["val/Maize/x.png"]
    conflict = Copies(("Charlock/a.png", "Maize/a.png"), ("Charlock", "Maize"), "near")
    report = make_report(
        against="validation",
        class_counts={"Charlock": 1, "Maize": 3},
        formats={"PNG": 4},
        sizes={(40, 60): 4},
        bad={"Maize/d.png": "truncated: image file is truncated"},
        duplicates=[conflict, Copies(("Maize/a.png", "Maize/b.png"), ("Maize", "Maize"), "exact")],
        conflicts=[conflict],
        leaks=[Leak("Maize/c.png", "Maize/x.png", "mirrored")],
        unusual={"very dark": {"Maize/c.png": "mean 3 of 255"}, "blurred": {}},
        not_checked=("the endings of cached files",),
        paths=paths,
        paths_against={"Maize/x.png": other},
        seconds=1.25,
    )
    shown = written(report, tmp_path)

    for words in (
        *("photos against validation", "4 files in 2 classes", "1 bad file", "1 conflict", "1 leak"),
        *("1 group of copies", "1 unusual image", "truncated: image file is truncated", "identical files"),
        *("same picture", "mirrored", "mean 3 of 255", f"40 {TIMES} 60", "the endings of cached files", "in 1.2 s"),
    ):
        assert words in shown.text, words
    assert "blurred" not in shown.text
    assert len(shown.all("img")) == 2 + 2 + 2 + 1  # the conflict is not shown again among the copies
    assert [link["href"] for link in shown.all("a")] == ["#bad", "#conflicts", "#leaks", "#duplicates", "#unusual"]
    assert {section["id"] for section in shown.all("section") if "id" in section} == {
        *("bad", "conflicts", "leaks", "duplicates", "unusual", "data")
    }


def test_pictures_have_the_shape_of_the_image_and_a_description(make_report, images, tmp_path):
    paths = images("a.png", "b.png")
    shown = written(make_report(duplicates=[Copies(("a.png", "b.png"), (None, None), "exact")], paths=paths), tmp_path)

    assert [picture["alt"] for picture in shown.all("img")] == ["a.png", "b.png"]
    assert f"40 {TIMES} 60, " in shown.text


def test_the_page_loads_nothing(make_report, images, tmp_path):
    names = ("Maize/a.png", "Maize/b.png")
    report = make_report(duplicates=[Copies(names, ("Maize", "Maize"), "exact")], paths=images(*names))
    shown = written(report, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")

    assert {tag for tag, _ in shown.found}.isdisjoint({"script", "link", "iframe", "object", "embed", "video"})
    assert all(picture["src"].startswith("data:image/jpeg;base64,") for picture in shown.all("img"))
    assert not re.search(r"https?:|//|url\(|@import", re.sub(r"base64,[^\"]*", "", text))
    assert str(tmp_path) not in text  # the page is sent to others, and need not tell where files are stored


@pytest.mark.parametrize("evil", [SCRIPT, QUOTES, "a\nb\x00\u202e", "caf\udce9", "two  spaces"])
def test_names_are_escaped(evil, make_report, tmp_path):
    names = (f"{evil.replace('/', '_')}/1", "b")
    paths = {names[0]: str(tmp_path / "missing"), "b": str(tmp_path / "also missing")}
    copies = Copies(names, (evil, None), evil)
    report = make_report(
        data=evil,
        against=evil,
        class_counts={evil: 1},
        formats={evil: 1},
        bad={names[0]: evil},
        duplicates=[copies, Copies(("c", "d"), (evil, evil), "near")],
        conflicts=[copies],
        leaks=[Leak(names[0], evil, evil)],
        unusual={evil: {evil: evil}},
        not_checked=(evil,),
        paths=paths,
        paths_against={evil: evil},
    )
    shown = written(report, tmp_path)

    assert {tag for tag, _ in shown.found} <= ALLOWED
    attributes = set().union(*(found for _, found in shown.found))
    assert attributes <= {"lang", "charset", "name", "content", "class", "href", "id", "title", "style"}


def test_a_file_without_a_picture_has_a_placeholder(make_report, images, tmp_path):
    paths = images("here.png", "vanished.png", "broken.png")
    os.unlink(paths["vanished.png"])
    (tmp_path / "photos" / "broken.png").write_bytes(b"broken")
    names = ("broken.png", "here.png", "row 7 of the cache", "vanished.png")
    shown = written(make_report(duplicates=[Copies(names, (None,) * 4, "near")], paths=paths), tmp_path)

    assert len(shown.all("img")) == 1
    for words in ("file is gone", "not a file", "no picture"):
        assert shown.text.count(words) == 1


def test_more_groups_and_files_are_counted(make_report, tmp_path):
    groups = [Copies((f"{i}.png", f"{i} again.png"), (None, None), "exact") for i in range(1239)]
    groups[0] = Copies(tuple(f"{i}.png" for i in range(10_000)), (None,) * 10_000, "blank")
    report = make_report(
        duplicates=groups,
        bad={f"{i}.jpg": "empty file" for i in range(1006)},
        unusual={"blank": {f"{i}.gif": "one color" for i in range(2000)}},
        class_counts={f"class {i}": 2 for i in range(1030)},
    )
    shown = written(report, tmp_path, max_groups=5)

    for words in ("and 1,234 more groups", "and 9,994 more files", "and 1,001 more files", "and 1,995 more files"):
        assert words in shown.text, words
    assert "and 1,000 more2,000" in shown.text


def test_the_largest_page_is_a_few_megabytes(make_report, images, tmp_path):
    """Every section is full, and each picture is as large as a preview of noise gets."""
    path = tmp_path / "noise.png"
    Image.effect_noise((200, 200), 60).convert("RGB").save(path)
    names = tuple(map(str, range(20)))
    copies = [Copies(names, tuple(f"class {i}" for i in range(20)), f"kind {j}") for j in range(100)]
    report = make_report(
        duplicates=copies + [Copies(names, names, "exact")] * 100,
        conflicts=copies,
        leaks=[Leak(f"{i // 20}", "0", "exact") for i in range(2000)],
        bad=dict.fromkeys(names * 2, "doubtful"),
        unusual={what: dict.fromkeys(map(str, range(100)), "") for what in ("blank", "very dark", "blurred")},
        paths=dict.fromkeys(map(str, range(100)), str(path)),
        paths_against={"0": str(path)},
    )
    written(report, tmp_path)

    assert 10**6 < (tmp_path / "report.html").stat().st_size < 7 * 10**6


def test_nothing_found(make_report, tmp_path):
    shown = written(make_report(num_files=0), tmp_path)

    assert "Nothing was found." in shown.text
    assert "0 files" in shown.text
    assert not shown.all("section")


def test_two_data_sets_of_one_name_are_told_apart(make_report, tmp_path):
    leaks = [Leak("a.png", "b.png", "exact")]
    assert "a/imagesa.png" in written(make_report(data="a/images", against="b/images", leaks=leaks), tmp_path).text
    assert "trainb.png" in written(make_report(data="images", against="b/train", leaks=leaks), tmp_path).text


def test_leaks_with_another_class_show_both(make_report, tmp_path):
    leaks = [Leak("a.png", "b.png", "exact", ("cat", "dog")), Leak("c.png", "d.png", "exact", ("cow", "cow"))]
    text = written(make_report(against="b", leaks=leaks), tmp_path).text
    assert "class cat" in text
    assert "class dog" in text
    assert "class cow" not in text


def test_colors_follow_the_browser_and_the_width_that_of_the_screen(make_report, tmp_path):
    make_report().to_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()

    assert "prefers-color-scheme: dark" in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text


def test_the_path_is_returned_and_an_old_page_is_replaced(make_report, tmp_path):
    path = tmp_path / "new folder" / "report.html"
    assert make_report(data="first").to_html(path) == path
    make_report(data="second").to_html(str(path))
    assert "second" in path.read_text()
    assert os.listdir(path.parent) == ["report.html"]


def test_a_page_that_cannot_be_written_is_an_error(make_report, tmp_path, monkeypatch):
    report = make_report()
    with pytest.raises(ko.DestinationError, match=r"Cannot write .*Choose another destination"):
        report.to_html(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ko.DestinationError, match="Cannot write"):
        report.to_html(tmp_path / "file" / "report.html")
    with read_only_disk(monkeypatch), pytest.raises(ko.DestinationError, match="that you may write to"):
        report.to_html(tmp_path / "report.html")


def test_an_error_in_between_leaves_the_old_page(make_report, tmp_path, monkeypatch):
    path = make_report(data="first").to_html(tmp_path / "report.html")

    def stop(report, max_groups):
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "page_of", stop)
    with pytest.raises(KeyboardInterrupt):
        make_report(data="second").to_html(path)
    assert "first" in path.read_text()
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.parametrize("number", [0, -1, 2.5, "3", None, True])
def test_a_wrong_number_of_groups(number, make_report, tmp_path):
    with pytest.raises(ko.OptionError, match="`max_groups` should be a positive integer"):
        make_report().to_html(tmp_path / "report.html", max_groups=number)
    assert not os.listdir(tmp_path)
