"""The ten samples of the contracts, and the methods that a test class implements to open them as its Sequence."""

import pytest
from contracts.reading import counted_leases

NUM_SAMPLES = 10
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
CLASS_NAMES = ["ant", "bee", "cat"]


class NumberedSamples:
    """Ten samples in batches of four. Sample `i` contains its number `i` and has the label `LABELS[i]`."""

    def prepare(self, folder):
        """Write the ten samples into a folder."""
        raise NotImplementedError

    def open(self, folder, **options):
        """Open the folder as a Sequence."""
        raise NotImplementedError

    def numbers(self, x):
        """Return the numbers of the samples in `x`, as a list."""
        raise NotImplementedError

    @pytest.fixture
    def make(self, tmp_path):
        """A function that opens the Sequence with any options."""
        folder = tmp_path / "data"
        folder.mkdir()
        self.prepare(folder)
        return lambda **options: self.open(folder, **{"batch_size": 4, "label_mode": "int", "seed": 7, **options})

    @pytest.fixture
    def leases(self, monkeypatch):
        """How many batch buffers are in use, and the largest number so far."""
        return counted_leases(monkeypatch)

    def epoch_of(self, sequence):
        """Read an epoch and check its labels; returns the numbers of the samples by batch."""
        batches = []
        for x, y in sequence:
            batches.append(self.numbers(x))
            assert y.tolist() == [LABELS[number] for number in batches[-1]]
        return batches
