"""Several files are saved together: all or none, for any kill and any reader."""

import json
import os
import random
import signal
import threading
import time

import pytest
from child_of_file import output, run_as_script, say
from frozen_disk import killed_at, read_only_disk

from keras_oocore.core import commit, temporary
from keras_oocore.core.commit import open_together, save_together
from keras_oocore.core.errors import BusyError, DataError, DestinationError
from keras_oocore.core.temporary import COMMIT_NAME

NAMES = ("a", "b", "c")
OLD, NEW = dict.fromkeys(NAMES, b"old"), dict.fromkeys(NAMES, b"new")
NOTHING = dict.fromkeys(NAMES)


def save(folder, contents):
    def writer(content):
        return None if content is None else lambda file: file.write(content)

    save_together(folder, {name: writer(content) for name, content in contents.items()})


def load(folder, names=NAMES):
    with open_together(folder, names) as files:
        return {name: None if file is None else file.read() for name, file in files.items()}


COMMITTED = ("replace", 1)  # the first one publishes the record, and the others give the files their names


def hidden(folder):
    return [name for name in os.listdir(folder) if name.startswith(".")]


def steps_of(folder, contents, monkeypatch):
    with killed_at(None, monkeypatch) as steps:
        save(folder, contents)
    return steps


def test_files_are_replaced_and_removed_together(tmp_path):
    save(tmp_path / "new", OLD)
    assert load(tmp_path / "new") == OLD
    save(tmp_path / "new", {"a": b"", "b": None, "c": b"new"})
    assert load(tmp_path / "new") == {"a": b"", "b": None, "c": b"new"}
    assert sorted(os.listdir(tmp_path / "new")) == ["a", "c"]


def test_files_of_a_missing_folder_are_missing(tmp_path):
    assert load(tmp_path / "gone") == NOTHING
    (tmp_path / "file").touch()
    assert load(tmp_path / "file") == NOTHING


@pytest.mark.parametrize("old", [NOTHING, OLD, {**OLD, "b": None}], ids=["first save", "all replaced", "one added"])
@pytest.mark.parametrize("new", [NEW, {**NEW, "b": None}], ids=["three files", "one removed"])
def test_a_kill_at_any_step_leaves_all_old_or_all_new(tmp_path, monkeypatch, old, new):
    save(tmp_path / "whole", old)
    num_steps = len(steps_of(tmp_path / "whole", new, monkeypatch))
    assert num_steps > 12
    outcomes = []
    for step in range(num_steps):
        folder = tmp_path / str(step)
        save(folder, old)
        with killed_at(step, monkeypatch):
            save(folder, new)
        with read_only_disk(monkeypatch):
            seen = load(folder)
        assert seen in (old, new)
        assert load(folder) == seen  # this completes it
        assert {name: (folder / name).read_bytes() if (folder / name).exists() else None for name in NAMES} == seen
        assert load(folder) == seen
        outcomes.append(seen == new)
        save(folder, old)
        assert load(folder) == old
        assert not hidden(folder)
    assert outcomes == sorted(outcomes)  # old until a certain step, and new from then on
    assert set(outcomes) == {False, True}


def test_a_kill_during_the_completion_is_completed_too(tmp_path, monkeypatch):
    save(tmp_path / "whole", OLD)
    steps = steps_of(tmp_path / "whole", NEW, monkeypatch)
    committed = steps.index("replace") + 1  # the record has its name
    for step in range(6):
        folder = tmp_path / str(step)
        save(folder, OLD)
        with killed_at(committed, monkeypatch):
            save(folder, NEW)
        with killed_at(step, monkeypatch):
            load(folder)
        assert load(folder) == NEW
        assert not hidden(folder)


def test_the_next_writer_completes_a_killed_one_of_other_files(tmp_path, monkeypatch):
    save(tmp_path, OLD)
    with killed_at(COMMITTED, monkeypatch):
        save(tmp_path, NEW)
    assert COMMIT_NAME in os.listdir(tmp_path)
    save(tmp_path, {"a": b"newer"})
    assert load(tmp_path) == {**NEW, "a": b"newer"}
    assert not hidden(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_saved_by_hand_after_a_kill_stays(tmp_path, monkeypatch, name):
    save(tmp_path / "whole", OLD)
    for step in range(len(steps_of(tmp_path / "whole", NEW, monkeypatch))):
        folder = tmp_path / str(step)
        save(folder, OLD)
        with killed_at(step, monkeypatch):
            save(folder, NEW)
        (folder / name).write_bytes(b"by hand")
        seen = load(folder)
        assert seen in ({**OLD, name: b"by hand"}, {**NEW, name: b"by hand"})
        assert load(folder) == seen


def test_an_error_before_the_commit_leaves_the_old_files(tmp_path):
    def full(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    save(tmp_path, OLD)
    with pytest.raises(DestinationError, match=r"Cannot write '.*b': No space left on device\. Free some space"):
        save_together(tmp_path, {"a": lambda file: file.write(b"new"), "b": full})
    assert load(tmp_path) == OLD
    assert not hidden(tmp_path)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_after_the_commit_does_not_lose_the_new_files(tmp_path, monkeypatch, error):
    save(tmp_path, OLD)

    really_replace = os.replace

    def refuse(old, new):
        if os.path.basename(new) != COMMIT_NAME:
            raise error
        really_replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises((DestinationError, KeyboardInterrupt)):
            save(tmp_path, NEW)
    assert load(tmp_path) == NEW
    assert not hidden(tmp_path)


# --- readers and writers at the same moment -------------------------------------------------------------------------


def test_a_reader_at_any_step_sees_all_old_or_all_new(tmp_path, monkeypatch):
    save(tmp_path, OLD)
    seen = []
    with monkeypatch.context() as patch:
        for name in ("fsync", "link", "rename", "replace", "unlink"):
            real = getattr(os, name)

            def change(*arguments, real=real):
                seen.append(load(tmp_path))
                result = real(*arguments)
                seen.append(load(tmp_path))
                return result

            patch.setattr(os, name, change)
        save(tmp_path, NEW)
    assert all(one in (OLD, NEW) for one in seen)
    assert OLD in seen
    assert NEW in seen
    assert len(seen) > 20


def test_a_reader_that_is_interrupted_by_writers_sees_all_of_one(tmp_path, monkeypatch):
    """Between any two of its steps, another process saves all files again."""
    save(tmp_path, OLD)
    really_open, count = open, 0
    for at in range(12):

        def interrupted(path, *arguments, **options):
            nonlocal count
            count += 1
            if count == at:  # noqa: B023
                with monkeypatch.context() as undone:
                    undone.setattr("builtins.open", really_open)
                    save(tmp_path, dict.fromkeys(NAMES, b"%d" % at))  # noqa: B023
            return really_open(path, *arguments, **options)

        count = 0
        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", interrupted)
            assert len(set(load(tmp_path).values())) == 1


def test_readers_and_writers_in_threads(tmp_path):
    save(tmp_path, dict.fromkeys(NAMES, b"start"))
    seen, errors, end = [], [], time.monotonic() + 0.5

    def repeat(function):
        try:
            while time.monotonic() < end:
                function()
        except BaseException as error:
            errors.append(error)

    def writer(text):
        return lambda: save(tmp_path, dict.fromkeys(NAMES, text))

    threads = [threading.Thread(target=repeat, args=[writer(text)]) for text in (b"one", b"two")]
    threads += [threading.Thread(target=repeat, args=[lambda: seen.append(load(tmp_path))]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert seen
    assert all(len(set(one.values())) == 1 for one in seen)
    assert not hidden(tmp_path)


def test_no_other_writer_saves_while_the_old_files_are_read(tmp_path, monkeypatch):
    """Otherwise the record would have checksums of two saves, and its readers would mix them."""
    save(tmp_path, OLD)
    monkeypatch.setattr(commit, "WAIT_SECONDS", 0.05)
    really_digest, busy = commit._digest_of, []

    def interrupted(path):
        with monkeypatch.context() as undone:
            undone.setattr(commit, "_digest_of", really_digest)
            try:
                save(tmp_path, dict.fromkeys(NAMES, b"other"))
            except BusyError as error:
                busy.append(str(error))
        assert load(tmp_path) == OLD
        return really_digest(path)

    monkeypatch.setattr(commit, "_digest_of", interrupted)
    save(tmp_path, NEW)
    assert busy
    assert load(tmp_path) == NEW
    assert not hidden(tmp_path)


def test_a_living_writer_is_waited_for(tmp_path, monkeypatch):
    save(tmp_path, OLD)
    (tmp_path / COMMIT_NAME).write_text('{"format": 1, "files": []}')
    monkeypatch.setattr(commit, "WAIT_SECONDS", 0.05)
    with open(tmp_path / COMMIT_NAME, "rb+") as file:
        assert temporary.lock_file(file.fileno())
        with pytest.raises(BusyError, match="Another process is saving files in"):
            save(tmp_path, NEW)
        assert load(tmp_path) == OLD
    save(tmp_path, NEW)
    assert load(tmp_path) == NEW
    assert not hidden(tmp_path)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "lock_file", lambda _: None)
    monkeypatch.setattr(commit, "lock_file", lambda _: None)
    save(tmp_path, OLD)
    with killed_at(COMMITTED, monkeypatch):
        save(tmp_path, NEW)
    assert load(tmp_path) == NEW
    assert COMMIT_NAME in os.listdir(tmp_path)  # a reader cannot know that the writer is dead
    save(tmp_path, OLD)
    assert load(tmp_path) == OLD
    assert COMMIT_NAME not in os.listdir(tmp_path)


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A folder where a process was killed after the commit, and the path of a new file."""
    save(tmp_path, OLD)
    with killed_at(COMMITTED, monkeypatch):
        save(tmp_path, NEW)
    changes = json.loads((tmp_path / COMMIT_NAME).read_text())["files"]
    assert (tmp_path / "a").read_bytes() == b"old"
    return tmp_path, tmp_path / changes[0][3]


@pytest.mark.parametrize("content", [b"ne", b"nex", None])
def test_a_damaged_new_file_is_named_and_the_old_one_is_not_lost(committed, content):
    folder, new = committed
    new.unlink() if content is None else new.write_bytes(content)
    for function in (load, lambda folder: save(folder, NEW)):
        with pytest.raises(DataError, match=r"\.keras_oocore-commit.*Remove it to open the other files"):
            function(folder)
    (folder / COMMIT_NAME).unlink()
    assert load(folder) == OLD


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "..", ".", "", ".hidden", "a/b", "a\\b", "C:a", "a\n", 3, None, ["a"]], ids=repr
)
def test_a_record_cannot_name_a_file_elsewhere(committed, name):
    folder, _ = committed
    record = json.loads((folder / COMMIT_NAME).read_text())
    record.pop("crc32", None)
    for field in (0, 3):
        if (name, field) == (None, 3):
            continue  # it means that the file is removed
        changed = json.loads(json.dumps(record))
        changed["files"][0][field] = name
        (folder / COMMIT_NAME).write_text(json.dumps(changed))
        with pytest.raises(DataError, match=r"\.keras_oocore-commit' is damaged"):
            load(folder)
    assert (folder / "a").read_bytes() == b"old"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "files": 3}', "[" * 10**5, "\udcff"])
def test_a_damaged_record_is_named(committed, text):
    folder, _ = committed
    (folder / COMMIT_NAME).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=r"\.keras_oocore-commit' is damaged"):
        load(folder)


# --- kills ----------------------------------------------------------------------------------------------------------


def kill_and_read(folder, num_kills, seed):
    """Fork writers, kill each at a random moment, and read all the time."""
    rng = random.Random(seed)
    save(folder, dict.fromkeys(NAMES, b"start"))
    for _ in range(num_kills):
        pid = os.fork()
        if not pid:
            while True:
                for number in range(10):
                    save(folder, dict.fromkeys(NAMES, bytes([number]) * 100_000))
        end = time.monotonic() + rng.random() * 0.1
        while time.monotonic() < end:
            assert len(set(load(folder).values())) == 1
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert len(set(load(folder).values())) == 1
        assert COMMIT_NAME not in os.listdir(folder)
    save(folder, NEW)
    assert not hidden(folder)
    say("all or none")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("num_kills", [5, pytest.param(500, marks=pytest.mark.soak)])
def test_kills_at_random_moments_with_readers(tmp_path, num_kills):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    assert output(kill_and_read, tmp_path / "saved", num_kills, seed)[0] == "all or none\n"


if __name__ == "__main__":
    run_as_script(globals())
