"""What all tests share: fixtures, which tests run where, and a record of what ran.

A test runs once, on one backend, unless it has the mark `backend`. `make test` runs those on every backend. In a file
whose tests all have the mark `backend`, `one_backend` says that one is enough for a test.
"""

import functools
import gc
import inspect
import json
import os

import hidden_packages
import hypothesis
import pytest
from processes import ProcessFinder

pytest.register_assert_rewrite("contracts")  # before the first import of a contract

from contracts.numbered import CLASS_NAMES, LABELS  # noqa: E402
from drawing import draw  # noqa: E402

collect_ignore = ["fork_server.py", "hidden"]  # for processes without some packages
# A busy machine is not a fault: tests never fail for the time that they take.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# Each starts at once, on another worker if there are enough; the workers take the rest from one another.
LONGEST_FILES = (
    *("test_notebooks.py", "test_docs.py", "test_examples.py", "test_processes.py", "test_shard_processes.py"),
)
MODEL_MARKS = ("backend", "one_backend")
RECORD = "KERAS_OOCORE_TEST_RECORD"  # an environment variable: the file that `make test` prints at its end


# Which tests run


def only_tests_of_models(config):
    return config.option.markexpr.startswith("backend")


def pytest_configure(config):
    """Hide TensorFlow on another backend, and if only tests of models run, also what they do not need.

    Keras imports TensorFlow in `set_random_seed`, for many seconds in each process. needs_tensorflow.py marks the tests
    of functions of Keras that use it.
    """
    of_models = only_tests_of_models(config)
    hidden_packages.hide(optional=of_models, from_keras=not of_models)


def pytest_collectstart():
    """Let the garbage collector wait: collecting makes millions of objects and no garbage."""
    gc.disable()


def pytest_pycollect_makeitem(collector, name, obj):
    """If only tests of models run, do not make others, of which there are thousands in files with both."""
    if only_tests_of_models(collector.config) and inspect.isfunction(obj) and name.startswith("test"):
        marks = {mark.name for mark in [*getattr(obj, "pytestmark", ()), *collector.iter_markers()]}
        return None if "backend" in marks else []
    return None


def pytest_ignore_collect(collection_path, config):
    """If only tests of models run, leave out files without such tests: to import them takes longer than the tests."""
    if only_tests_of_models(config) and collection_path.suffix == ".py":
        text = collection_path.read_text()
        return True if "mark.backend" not in text and "from contracts" not in text else None
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items, config):
    """Mark tests that start processes, before tests are chosen, and then let the longest files start first."""
    if "child" in config.option.markexpr:  # to read all code takes a second
        processes = ProcessFinder()
        for item in items:
            if isinstance(item, pytest.Function) and processes.starts_a_process(item):
                item.add_marker("child")
    result = yield
    items[:] = in_order(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)))
    return result


def in_order(items, num_workers):
    """Sort tests so that each worker, to which xdist gives one part of the list, begins with some of the longest."""
    longest = [[item for item in items if item.path.name == name] for name in LONGEST_FILES]
    others = [item for item in items if item.path.name not in LONGEST_FILES]
    ordered, length = [], -(-len(items) // num_workers)
    for worker in range(num_workers):
        part = [item for file in longest[worker::num_workers] for item in file]
        num_others = length - len(part) if worker < num_workers - 1 else len(others)
        ordered += part + others[:num_others]
        del others[:num_others]
    return ordered


def pytest_collection_finish():
    """From now on, let the garbage collector pass over modules and tests, which are millions of objects."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session):
    """Append what ran on which backend to the record, if there is one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if RECORD not in os.environ or hasattr(session.config, "workerinput") or reporter is None:
        return
    counts = {outcome: len(reporter.stats.get(outcome, ())) for outcome in ("passed", "skipped", "failed", "error")}
    run = {"backend": os.environ.get("KERAS_BACKEND", "?"), "tests": session.config.option.markexpr or "all", **counts}
    with open(os.environ[RECORD], "a") as file:
        file.write(json.dumps(run) + "\n")


# Fixtures


@pytest.fixture(autouse=True)
def only_marked_tests_touch_a_model(request, monkeypatch):
    """A test without the mark `backend` runs on one backend only, so a model in it is an error."""
    if isinstance(request.node, pytest.Function) and not any(map(request.node.get_closest_marker, MODEL_MARKS)):
        import keras

        for name in ("compile", "fit", "predict", "evaluate", "__call__"):
            monkeypatch.setattr(keras.Model, name, _refused(getattr(keras.Model, name)))


def _refused(method):
    @functools.wraps(method)  # its signature stays, which training reads
    def refuse(*args, **kwargs):
        pytest.fail("This test touches a model. Mark it with @pytest.mark.backend, to run it on every backend.")

    return refuse


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    """`tmp_path`, as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(in_tmp_path):
    """A function that writes text or bytes to a file in the working directory."""

    def write(content, name="houses.csv"):
        (in_tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


@pytest.fixture
def photos(tmp_path):
    """A folder `photos` with ten images in the class folders `ant`, `bee` and `cat`.

    The grey level of image `i` is `10 * i`, as in drawing.py. They are the samples of contracts/numbered.py.
    """
    for number, label in enumerate(LABELS):
        draw(tmp_path / "photos" / CLASS_NAMES[label] / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def opened_files(monkeypatch):
    """The paths of all files of data that are opened."""
    from keras_oocore.core import storage

    paths, open_file = [], storage.open_file

    def recording(path, *arguments, **options):
        paths.append(path)
        return open_file(path, *arguments, **options)

    for module in ("core.storage", "sources.npy"):
        monkeypatch.setattr(f"keras_oocore.{module}.open_file", recording)
    return paths
