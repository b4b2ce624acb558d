"""`ko.predict(..., to=)`: files that are written while the model predicts, and continue after a kill."""

import csv
import os
import stat
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from forked_child import forked_child
from predicting_child import BATCH_SIZE, CLASSES, NUM_ROWS, SMALL_PARTS, on_a_small_disk, predicting, rows
from stub_models import Returns, StubModel

import keras_oocore as ko
from keras_oocore.predictions import written

SUFFIXES = ("csv", "parquet")


@pytest.fixture
def in_parts(monkeypatch):
    """Write a part for every ten batches or so."""
    monkeypatch.setattr(written, "PART_BYTES", SMALL_PARTS)


class StopAt(StubModel):
    """Raises an error for batch `stop`."""

    def __init__(self, stop, error=None, **options):
        super().__init__(**options)
        self.stop, self.error = stop, error or RuntimeError("the model fails")

    def predict_on_batch(self, x):
        if self.num_batches == self.stop:
            raise self.error
        return super().predict_on_batch(x)


def interrupted(sequence, path, stop=50, **options):
    """Predict until an error, and return the names of what is left."""
    with pytest.raises(RuntimeError, match="the model fails"):
        ko.predict(StopAt(stop), sequence, to=path, **options)
    assert not path.exists()
    return sorted(os.listdir(f"{path}.parts"))


# The file


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_has_the_rows_of_the_table(tmp_path, in_parts, suffix):
    table = ko.predict(StubModel(), rows(tmp_path))

    path = ko.predict(StubModel(), rows(tmp_path), to=tmp_path / f"all.{suffix}")

    assert path == tmp_path / f"all.{suffix}"
    if suffix == "csv":
        with open(path, newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        assert [row["class"] for row in found] == table["class"].tolist()
        values = np.array([[row[name] for name in CLASSES] for row in found], "float32")
    else:
        found = pq.read_table(path)
        assert found.column_names == list(table)
        assert found["class"].to_pylist() == table["class"].tolist()
        values = np.stack([found[name].to_numpy() for name in CLASSES], axis=1)
    assert (values == np.stack([table[name] for name in CLASSES], axis=1)).all()  # every bit
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, "rows.npy"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_table_saves_the_same_bytes(tmp_path, in_parts, suffix):
    columns = {"row": "id", "dog": 'is a "dog", or not'}
    path = ko.predict(StubModel(), rows(tmp_path), to=tmp_path / f"a.{suffix}", columns=columns)

    ko.predict(StubModel(), rows(tmp_path)).save(tmp_path / f"b.{suffix}", columns)

    if suffix == "csv":
        assert path.read_text().startswith('id,"is a ""dog"", or not"\n0,0.')
    assert path.read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_numbers_are_the_shortest_strings_that_keep_them(tmp_path):
    values = np.array([0, 1, 0.1, 1 / 3, 1e-5, 1e-45, 3.4e38, -0.0, np.inf, np.nan], "float32")
    model = Returns(lambda means: values[:, np.newaxis])
    sequence = ko.ArraySequence(np.zeros((10, 1), "float32"), labels=None)

    path = ko.predict(model, sequence, to=tmp_path / "numbers.csv", columns=["prediction"])

    assert path.read_text().split() == [
        *("prediction", "0.0", "1.0", "0.1", "0.33333334", "1e-05", "1e-45", "3.4e+38", "-0.0", "inf", "nan")
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cells_of_unreadable_files_are_empty_and_odd_names_are_quoted(tmp_path, suffix):
    names = ["a, b.npy", 'c "d".npy', "é\n.npy", "öwl.npy"]
    for number, name in enumerate(names):
        np.save(tmp_path / name, np.full(2, number, "float32"))
    sequence = ko.NpyManifestSequence(names, directory=tmp_path, labels=None, batch_size=3)
    (tmp_path / "öwl.npy").write_bytes(b"none")

    with pytest.warns(UserWarning, match="1 file cannot be read"):
        path = ko.predict(StubModel(), sequence, to=tmp_path / f"files.{suffix}", class_names=CLASSES)

    if suffix == "csv":
        with open(path, newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        empty = ""
    else:
        found, empty = pq.read_table(path).to_pylist(), None
    assert [row["file"] for row in found] == names
    assert {found[3][name] for name in ("class", "probability", *CLASSES)} == {empty}
    assert "error" in found[3]
    assert found[3]["error"]
    assert found[2]["cat"] not in ("", None)


@pytest.mark.skipif(os.name == "nt", reason="names of files are Unicode there")
def test_names_that_are_not_unicode_stay_as_they_are_in_csv_and_are_escaped_in_parquet(tmp_path):
    np.save(tmp_path / os.fsdecode(b"caf\xe9.npy"), np.zeros(2, "float32"))
    sequence = ko.NpyManifestSequence([os.fsdecode(b"caf\xe9.npy")], directory=tmp_path, labels=None)

    path = ko.predict(StubModel(), sequence, to=tmp_path / "a.csv", columns=["file"])
    assert path.read_bytes() == b"file\ncaf\xe9.npy\n"
    path = ko.predict(StubModel(), sequence, to=tmp_path / "a.parquet", columns=["file"])
    assert pq.read_table(path).to_pylist() == [{"file": "caf\\udce9.npy"}]


def test_one_sample_is_a_file(tmp_path):
    one = ko.ArraySequence(np.ones((1, 2), "float32"), labels=None)

    path = ko.predict(StubModel(2), one, to=tmp_path / "one.csv", columns=["row", "class"], class_names=["a", "ü"])

    assert path.read_text() in ("row,class\n0,a\n", "row,class\n0,ü\n")


def test_an_earlier_file_is_replaced_when_the_new_one_is_complete(tmp_path, in_parts):
    path = ko.predict(StubModel(seed=1), rows(tmp_path), to=tmp_path / "all.csv")
    before = path.read_bytes()

    with pytest.raises(RuntimeError):
        ko.predict(StopAt(50), rows(tmp_path), to=path)
    assert path.read_bytes() == before
    ko.predict(StubModel(), rows(tmp_path), to=path)

    assert path.read_bytes() != before


# Continuing


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_next_call_continues_and_the_file_has_the_same_bytes(tmp_path, in_parts, capsys, suffix):
    whole = ko.predict(StubModel(), rows(tmp_path), to=tmp_path / f"whole.{suffix}")
    path = tmp_path / f"all.{suffix}"
    left = interrupted(rows(tmp_path), path)
    assert len([name for name in left if name.startswith("part-")]) > 2
    interrupted(rows(tmp_path), path, stop=20)

    model = StubModel()
    ko.predict(model, rows(tmp_path), to=path)

    assert path.read_bytes() == whole.read_bytes()
    assert model.num_batches == 100 - 50 - 19 + 1  # and the first batch again, which shows the columns
    assert "276 of 400 rows were predicted before" in capsys.readouterr().out
    assert not os.path.exists(f"{path}.parts")


def test_after_ctrl_c_the_last_batch_is_kept(tmp_path):
    path = tmp_path / "all.csv"
    with pytest.raises(KeyboardInterrupt):
        ko.predict(StopAt(50, KeyboardInterrupt()), rows(tmp_path), to=path)

    model = StubModel()
    ko.predict(model, rows(tmp_path), to=path)

    assert model.num_batches == 51


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(model=StubModel(seed=1)), "weights of the model was 'CRC-32 .*It starts over"),
        (dict(columns=["row"]), "columns: without"),
        (dict(class_names=["a", "b", "c"]), "class names"),
        (dict(batch_size=8), "batch_size was 4, is 8"),
        (dict(rescale=2.0), "rescale was None, is 2.0"),
        (dict(activation="softmax"), "outputs"),
    ],
)
def test_a_change_starts_over_and_says_what_changed(tmp_path, in_parts, changed, message):
    path = tmp_path / "all.csv"
    interrupted(rows(tmp_path), path)
    options = {name: changed.pop(name) for name in ("batch_size", "rescale") if name in changed}
    changed.setdefault("model", StubModel())

    def sequence():
        data = np.load(tmp_path / "rows.npy")
        labels = np.arange(NUM_ROWS) % 3
        return ko.ArraySequence(data, labels, class_names=CLASSES, **{"batch_size": BATCH_SIZE, **options})

    with pytest.warns(UserWarning, match=message):
        ko.predict(sequence=sequence(), to=path, **changed)

    expected = ko.predict(sequence=sequence(), to=tmp_path / "expected.csv", **changed)
    assert path.read_bytes() == expected.read_bytes()


def test_a_model_with_the_same_weights_and_other_predictions_starts_over(tmp_path, in_parts):
    path = tmp_path / "all.csv"
    interrupted(rows(tmp_path), path)
    model = StubModel()
    predict = model.predict_on_batch
    model.predict_on_batch = lambda x: predict(x)[:, ::-1]

    with pytest.warns(UserWarning, match="other values for the first batch"):
        ko.predict(model, rows(tmp_path), to=path)


def test_rows_before_a_file_that_changed_are_kept(tmp_path, in_parts):
    names = [f"{number:03d}.npy" for number in range(NUM_ROWS)]
    for number, name in enumerate(names):
        np.save(tmp_path / name, np.full(3, number, "float32"))

    def files():
        return ko.NpyManifestSequence(names, directory=tmp_path, labels=None, batch_size=BATCH_SIZE)

    path = tmp_path / "all.csv"
    interrupted(files(), path)
    np.save(tmp_path / names[120], np.full(3, 7.5, "float32"))
    os.utime(tmp_path / names[120], (1, 1))

    model = StubModel()
    with pytest.warns(UserWarning, match=r"files changed\. It continues after row"):
        ko.predict(model, files(), to=path)

    assert 70 < model.num_batches < 90
    assert path.read_bytes() == ko.predict(StubModel(), files(), to=tmp_path / "expected.csv").read_bytes()


@pytest.mark.parametrize("damage", ["part", "record", "no record"])
def test_a_damaged_part_or_record_is_predicted_again(tmp_path, in_parts, damage):
    path = tmp_path / "all.csv"
    whole = ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "whole.csv")
    left = interrupted(rows(tmp_path), path)
    parts = [name for name in left if name.startswith("part-")]
    damaged = tmp_path / "all.csv.parts" / (parts[1] if damage == "part" else "run.json")
    if damage == "no record":
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-3])

    with pytest.warns(UserWarning, match="is damaged|its record"):
        ko.predict(StubModel(), rows(tmp_path), to=path)

    assert path.read_bytes() == whole.read_bytes()


def test_other_files_in_the_folder_of_the_parts_are_never_removed(tmp_path):
    (tmp_path / "all.csv.parts").mkdir()
    (tmp_path / "all.csv.parts" / "mine.txt").write_text("mine")

    with pytest.raises(ko.DestinationError, match=r"has other files: 'mine.txt'"):
        ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "all.csv")

    assert (tmp_path / "all.csv.parts" / "mine.txt").read_text() == "mine"


# Two processes, and disks


def test_another_call_for_the_same_file_is_refused(tmp_path):
    class Second(StubModel):
        def predict_on_batch(self, x):
            with pytest.raises(ko.BusyError, match=r"all\.csv\.parts"):
                ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "all.csv")
            return super().predict_on_batch(x)

    ko.predict(Second(), rows(tmp_path), to=tmp_path / "all.csv")

    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1 + NUM_ROWS


def test_another_process_for_the_same_file_is_refused(tmp_path, in_parts):
    rows(tmp_path)
    with forked_child(predicting, tmp_path, "csv", 1.0) as child:
        assert child.stdout.readline() == "ready\n"
        while not (tmp_path / "killed.csv.parts" / "run.json").exists():
            time.sleep(0.05)
        with pytest.raises(ko.BusyError, match="Another process is writing"):
            ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "killed.csv")
    ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "killed.csv")


def test_a_disk_on_which_the_file_does_not_fit_keeps_the_parts(tmp_path, in_parts):
    whole = ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "whole.csv")

    with forked_child(on_a_small_disk, tmp_path) as child:
        code, said, errors = child.finish()
    assert code == 0, errors

    assert "Cannot write" in said
    assert "all.csv" in said
    model = StubModel()
    ko.predict(model, rows(tmp_path), to=tmp_path / "all.csv")
    assert model.num_batches == 1
    assert (tmp_path / "all.csv").read_bytes() == whole.read_bytes()


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, in_parts):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "all.csv"
    interrupted(rows(tmp_path), path)
    with monkeypatch.context() as patch:
        patch.setattr("keras_oocore.core.temporary.os.fsync", fail)
        with pytest.raises(ko.DestinationError, match=r"Cannot write .*part-.*Free some space"):
            ko.predict(StubModel(), rows(tmp_path), to=path)
    model = StubModel()
    ko.predict(model, rows(tmp_path), to=path)

    assert model.num_batches == 51


def test_an_error_of_the_writing_thread_ends_the_prediction(tmp_path, monkeypatch, in_parts):
    interrupted(rows(tmp_path), tmp_path / "all.csv", stop=2)
    model = StubModel()

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("keras_oocore.core.temporary.os.fsync", fail)
    with pytest.raises(ko.DestinationError, match=r"Cannot write .*part-"):
        ko.predict(model, rows(tmp_path), to=tmp_path / "all.csv")

    assert model.num_batches < 10  # of 100; a part is about two


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_before_the_model_predicts(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    model = StubModel()

    with pytest.raises(ko.DestinationError, match="Choose a destination that you may write to"):
        ko.predict(model, rows(tmp_path), to=folder / "all.csv")

    assert model.num_batches == 0


def test_a_read_only_disk_is_refused_before_the_model_predicts(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(30, "Read-only file system")

    model, sequence = StubModel(), rows(tmp_path)
    monkeypatch.setattr("pathlib.Path.mkdir", fail)

    with pytest.raises(ko.DestinationError, match="Choose a destination that you may write to"):
        ko.predict(model, sequence, to=tmp_path / "all.csv")
    assert model.num_batches == 0


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("submission", r"should end with .csv or .parquet. Received: to='submission'"),
        ("a.xlsx", r"should end with .csv or .parquet"),
        (3, r"`to` should be the path of a file. Received: 3"),
    ],
)
def test_other_endings_are_refused(tmp_path, to, message):
    with pytest.raises(ko.OptionError, match=message):
        ko.predict(StubModel(), rows(tmp_path), to=to)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "all.csv").mkdir()

    with pytest.raises(ko.DestinationError, match="is a folder"):
        ko.predict(StubModel(), rows(tmp_path), to=tmp_path / "all.csv")
