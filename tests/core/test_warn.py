"""warn_user: warnings point at the line of the user's code."""

import gc
import re
import subprocess
import sys
import types
import warnings
import weakref

import pytest

from keras_oocore.core import warn
from keras_oocore.core.threads import ThreadPool


def module(name, source, path=None, **names):
    """A module of this name, with these other names defined."""
    made = types.ModuleType(name)
    made.__dict__.update(names)
    exec(compile(source, path or f"<{name}>", "exec"), made.__dict__)
    return made


INNER = module("keras_oocore.inner", "def inner():\n    warn_user('careful')\n", warn_user=warn.warn_user)
OUTER = module("keras_oocore.outer", "def outer():\n    inner()\n", inner=INNER.inner)


@pytest.mark.parametrize("call", [INNER.inner, OUTER.outer], ids=["one frame", "two frames"])
def test_warning_points_at_the_line_of_the_user(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()  # the line of the user
    (warning,) = caught

    assert (str(warning.message), warning.category, warning.filename) == ("careful", UserWarning, __file__)
    with open(__file__) as file:
        assert file.readlines()[warning.lineno - 1].strip() == "call()  # the line of the user"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("keras", "/venv/lib/python3.12/site-packages/keras/src/trainers/trainer.py"),
        ("torch", "C:\\venv\\Lib\\site-packages\\torch\\utils.py"),
        ("apt", "/usr/lib/python3/dist-packages/apt.py"),
        ("contextlib", "<frozen contextlib>"),
    ],
)
def test_warning_while_a_library_calls_points_at_the_line_of_the_user(name, path):
    library = module(name, "def outer():\n    inner()\n", path, inner=OUTER.outer)
    with pytest.warns(UserWarning, match="careful") as caught:
        library.outer()
    assert caught[0].filename == __file__


def test_warning_in_a_thread_points_at_the_line_of_the_main_thread():
    with pytest.warns(UserWarning, match="careful") as caught, ThreadPool(1, "without code of the user") as threads:
        threads.submit(OUTER.outer).result()
    assert caught[0].filename == __file__


def test_warning_without_code_of_the_user(monkeypatch):
    monkeypatch.setattr(warn, "INSTALLED", re.compile(""))
    with pytest.warns(UserWarning, match="careful") as caught:
        OUTER.outer()
    assert caught[0].filename == "<keras_oocore.inner>"


def test_warning_keeps_no_object_of_its_callers():
    class Held:
        pass

    def hold():
        held = Held()
        OUTER.outer()
        return weakref.ref(held)

    gc.disable()
    try:
        with pytest.warns(UserWarning, match="careful"):
            reference = hold()
        assert reference() is None
    finally:
        gc.enable()


def test_package_with_a_similar_name_is_code_of_the_user():
    other = module("keras_oocore_extras", "def outer():\n    inner()\n", inner=INNER.inner)
    with pytest.warns(UserWarning, match="careful") as caught:
        other.outer()

    assert caught[0].filename == "<keras_oocore_extras>"


def test_warning_of_a_constructor_points_at_the_line_of_the_user():
    import numpy as np

    import keras_oocore as ko

    with pytest.warns(UserWarning, match="`use_multiprocessing=True` is not supported") as caught:
        ko.ArraySequence(np.zeros((3, 2)), labels=None, use_multiprocessing=True)
    assert caught[0].filename == __file__


WARN_WHILE_THREADS_END = """
import _thread, gc, mmap, sys, threading, warnings
from keras_oocore.core.warn import warn_user

class Cycle:
    def __init__(self):
        self.itself, self.memory = self, mmap.mmap(-1, 4096)  # which releases the interpreter's lock when it is freed

def start_threads():
    while not ended:
        _thread.start_new_thread(int, ())

warnings.simplefilter("ignore")
sys.setswitchinterval(1e-6)
ended = []
threading.Thread(target=start_threads, daemon=True).start()
for number in range(int(sys.argv[1])):
    gc.disable()
    for _ in range(20):
        Cycle()
    thread = threading.Thread(target=warn_user, args=("careful",))
    gc.set_threshold(gc.get_count()[0] + number % 40)  # so that garbage is collected while frames are looked at
    gc.enable()
    thread.start()
    thread.join()
ended.append(True)
print("ended")
"""


@pytest.mark.parametrize("num_warnings", [160, pytest.param(1600, marks=pytest.mark.soak)])
def test_warnings_of_a_thread_do_not_wait_for_threads_that_end(num_warnings):
    command = [sys.executable, "-c", WARN_WHILE_THREADS_END, str(num_warnings)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=300).stdout == "ended\n"
