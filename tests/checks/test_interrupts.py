"""`ko.check` and its page: Ctrl-C in lines of the calling thread ends both, and leaves no threads and no files."""

import shutil
import threading
import time

import pytest
from interrupts import InterruptAtLine, in_another_thread, interrupts_in_finalizers_are_ignored
from pictures import picture, save

import keras_oocore as ko
from keras_oocore.core.temporary import TEMPORARY_PREFIX

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        save(picture(number, 40, 50), tmp_path / "photos" / "cat" / f"{number}.png")
    shutil.copy(tmp_path / "photos/cat/0.png", tmp_path / "photos/cat/same.png")
    (tmp_path / "photos/cat/broken.png").write_bytes(b"not an image")
    return tmp_path / "photos"


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def no_thread_is_left(name):
    """Threads whose work was interrupted end soon."""
    ends = time.monotonic() + 20
    while left := [thread for thread in threading.enumerate() if thread.name == name]:
        assert time.monotonic() < ends, left
        time.sleep(0.001)
    return True


def interrupted(function, step, after):
    """Call a function with Ctrl-C in its first line, and in every `step`-th, until it ends before. Return the last."""
    line, came = 1, True
    with interrupts_in_finalizers_are_ignored() as in_finalizers:
        while came:
            ended = False
            with InterruptAtLine(line) as interrupt:
                function()
                ended = True
            came = interrupt.came
            assert ended != came or in_finalizers
            in_finalizers.clear()
            after()
            line += step
    return line


@pytest.mark.parametrize("kind", ["files", "rows"])
@pytest.mark.parametrize("step", [4001, pytest.param(61, marks=pytest.mark.soak)])
def test_ctrl_c_ends_a_check(kind, step, folder, tmp_path):
    data, against = folder, folder
    if kind == "rows":
        data = tmp_path / "packed"
        ko.ImageFolderSequence(folder, image_size=(40, 50), on_error="skip").pack(data)
    expected, before = ko.check(data, against), files_below(tmp_path)

    def nothing_is_left():
        assert no_thread_is_left("keras_oocore-check")
        assert files_below(tmp_path) == before

    assert interrupted(lambda: ko.check(data, against, workers=2), step, nothing_is_left) > 9000
    again = in_another_thread(lambda: ko.check(data, against, workers=2))
    assert (again.bad, again.duplicates, again.leaks) == (expected.bad, expected.duplicates, expected.leaks)


@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.soak)])
def test_a_page_is_whole_or_absent_after_ctrl_c(step, folder, tmp_path):
    report, path = ko.check(folder), tmp_path / "pages" / "report.html"
    path.parent.mkdir()

    def whole_or_absent():
        assert no_thread_is_left("keras_oocore-page")
        for file in path.parent.iterdir():  # a hidden file stays if Ctrl-C comes before the line that would remove it
            assert file.name.startswith(TEMPORARY_PREFIX) or file.read_text().endswith("</html>\n")
            file.unlink()

    assert interrupted(lambda: report.to_html(path), step, whole_or_absent) > 500
