"""What the processes of a training tell each other, with threads in place of processes."""

from pathlib import Path

import numpy as np
import pytest
from together import COUNT, together

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.training import agreement
from keras_oocore.training.agreement import Agreement
from keras_oocore.training.processes import PIECE_BYTES, Processes
from keras_oocore.training.state.checkpoint import Checkpoint


def test_numbers_arrive_exactly():
    numbers = [0.1, np.pi, 1e300, np.nan]
    for told in together(lambda processes: processes.gathered([processes.index, *numbers])):
        np.testing.assert_array_equal(told, [[index, *numbers] for index in range(COUNT)])


def test_all_processes_receive_the_checkpoint_of_the_first():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    arrays = {
        "kernel": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1],
        "empty": np.empty((0, 4)),
        "step": np.array(7),
        "bfloat": np.array([0.5, 3], ml_dtypes.bfloat16),
        "text": np.array(["ü", "long"]),
        "large": np.arange(PIECE_BYTES // 4),
    }
    sent = Checkpoint(Path("some where/ü"), 5, {"epoch": 3, "loss": [0.1, None, float("nan")]}, arrays)
    results = together(lambda processes: processes.share(sent if processes.is_first else None))

    for received in results:
        assert (received.path, received.number, str(received.state)) == (sent.path, 5, str(sent.state))
        assert [*received.arrays] == [*arrays]
        for name, array in arrays.items():
            assert received.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(received.arrays[name], array)
    assert together(lambda processes: processes.share(None)) == [None] * COUNT


def test_an_error_in_one_process_is_an_error_in_all():
    def run(processes):
        try:
            with processes.all_or_none():
                if processes.index == 1:
                    raise DataError("damaged")
        except (DataError, OptionError) as error:
            return str(error)

    other = "Process 1 cannot train. Its error message says why."
    assert together(run) == [other, "damaged", other]


def test_processes_stop_after_the_same_batch(monkeypatch):
    monkeypatch.setattr(agreement, "SECONDS", 1e-3)

    def run(processes):
        agreed, signal, stops = Agreement(processes), None, False
        for batch in range(100, 100_000):
            signal = (
                15 if (processes.index, batch) == (2, 150) else signal
            )  # a signal stays, a wish to stop is made once
            agreed.within_epoch(batch, signal, stops=(processes.index, batch) == (1, 130))
            stops = stops or (agreed.stops and batch)
            if agreed.signal:
                return batch, stops, agreed.signal

    first, *others = together(run)
    assert others == [first] * 2
    assert first[0] >= 150
    assert first[1] >= 130


def test_all_processes_save_after_the_batch_that_the_first_one_chooses():
    def run(processes):
        agreed, saved = Agreement(processes), []
        for batch in range(1, 400):
            wishes = batch >= 20 if processes.is_first else batch % 2 == 0
            agreed.within_epoch(batch, None, False, wishes and not saved, required=batch % 100 == 0)
            saved += [batch] if agreed.saves else []
        return saved

    first, *others = together(run)
    assert others == [first] * 2
    assert len(first) == 1
    assert 20 <= first[0] <= 100


def test_logs_are_averaged_if_they_differ():
    def logs(processes):
        own = {"loss": float(processes.index), "same": 0.1, "tensor": np.float32(processes.index), "text": "a"}
        return Agreement(processes).averaged(own)

    assert together(logs) == [{"loss": 1.0, "same": 0.1, "tensor": 1.0, "text": "a"}] * COUNT
    assert Agreement(Processes(None)).averaged(None) == {}
