"""The metrics of a checkpoint are those of the rows of all processes, and each process resumes with its part."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from together import COUNT, together

from keras_oocore.training import metrics
from keras_oocore.training.metrics import keep_own_part, metrics_of_all

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="on JAX, each process has all metrics")


class Range(keras.metrics.Metric):
    """A metric of its own: the number of rows, the largest value, and one that is the same in all processes."""

    def __init__(self):
        super().__init__()
        self.rows = self.add_variable((), "zeros", dtype="int32", name="rows")
        self.largest = self.add_variable((), "zeros", aggregation="mean", name="largest")
        self.fixed = self.add_variable((), "zeros", aggregation="only_first_replica", name="fixed")


def of_process(index):
    """A model after a few batches of a process, which has seen other rows than the others."""
    loss, auc, own = keras.metrics.Mean(), keras.metrics.AUC(num_thresholds=7), Range()
    loss.update_state(np.arange(4) + 10 * index)
    auc.update_state([0, 1, 1, index % 2], [0.1, 0.8, 0.3, 0.1 * index])
    own.rows.assign(4 + index)
    own.largest.assign(0.5 * index)
    own.fixed.assign(7)
    return loss, auc, own, SimpleNamespace(metrics_variables=[*loss.variables, *auc.variables, *own.variables])


def numpy_of(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.mark.parametrize("piece_bytes", [metrics.PIECE_BYTES, 40])
def test_processes_resume_with_equal_parts_of_the_metrics_of_all_rows(piece_bytes, monkeypatch):
    monkeypatch.setattr(metrics, "PIECE_BYTES", piece_bytes)
    models = [of_process(index) for index in range(COUNT)]
    saved = together(lambda processes: metrics_of_all(models[processes.index][3], processes))

    for values in saved[1:]:
        for one, other in zip(values, saved[0], strict=True):
            assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    for loss, _, own, model in models:
        for variable, value in zip(model.metrics_variables, saved[0], strict=True):
            variable.assign(value)
        assert float(loss.result()) == pytest.approx(np.mean([np.arange(4) + 10 * i for i in range(COUNT)]))
        assert [int(own.rows.value), float(own.largest.value), float(own.fixed.value)] == [15, 0.5, 7]

    together(lambda processes: keep_own_part(models[processes.index][3], processes))
    parts = [numpy_of([*loss.variables, *auc.variables, own.rows]) for loss, auc, own, _ in models]
    for total, *own_parts in zip(saved[0], *parts):
        np.testing.assert_allclose(sum(own_parts), total, rtol=1e-6)
        assert max(np.ptp(np.stack(own_parts), axis=0).ravel()) <= (total.dtype.kind == "i") + 1e-6
    assert {float(own.largest.value) for _, _, own, _ in models} == {0.5}


def test_a_process_alone_keeps_its_metrics():
    from keras_oocore.training.processes import Processes

    *_, model = of_process(1)
    before = numpy_of(model.metrics_variables)
    assert metrics_of_all(model, Processes(None)) is None
    keep_own_part(model, Processes(None))
    np.testing.assert_equal(numpy_of(model.metrics_variables), before)
