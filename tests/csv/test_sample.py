"""Samples of the rows of a chunk."""

import numpy as np
import pytest

from keras_oocore.csv import sample
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records


def test_samples_span_the_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLED_BYTES", 100)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f'{i},"{i}\n""{i}"\n' for i in range(10_000)))
    index = index_records(path, Dialect())
    columns = [Column("a", 0, "string"), Column("b", 1, "string")]
    cells = CSVReader(2).sample(index, 0, columns, num_pieces=5)
    numbers = np.array(cells["a"].to_pylist(), int)
    assert cells["b"].to_pylist() == [f'{i}\n"{i}' for i in numbers]
    assert len(np.unique(numbers // 2000)) == 5
    assert numbers[-1] > 9900
    assert len(numbers) < 100


@pytest.mark.parametrize("num_pieces", [1, 2, 7])
def test_rows_longer_than_a_piece(tmp_path, monkeypatch, num_pieces):
    monkeypatch.setattr(sample, "SAMPLED_BYTES", 3)
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "".join(f"{i}{'0' * 20}\n" for i in range(1, 4)))
    cells = CSVReader(1).sample(index_records(path, Dialect()), 0, [Column("a", 0, "string")], num_pieces)
    assert {text[1:] for text in cells["a"].to_pylist()} <= {"0" * 20}
