"""How a Sequence describes itself: its `repr`, and the table that a notebook shows."""

from keras_oocore.core.fingerprint import name_of
from keras_oocore.core.html import Picture, facts, heading, never_raising, page, strip
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted
from keras_oocore.sequences.pipelined import PipelinedDataset


class DescribedDataset(PipelinedDataset):
    """A dataset that says what it contains, in what order, and what its batches are made with.

    Classes of Sequences add lines, such as where their files are.
    """

    def __repr__(self) -> str:
        (kind, contents), *lines = self._description()
        return f"<{kind}: " + "\n  ".join([contents, *(text for _, text in lines)]) + ">"

    @never_raising
    def _repr_html_(self) -> str:
        (kind, contents), *lines = self._description()
        pictures = strip(self._pictures())
        return page(heading(kind, contents), facts([*lines, *self._html_facts()]), pictures)

    def _description(self) -> list[tuple[str, str]]:
        """Return what `repr` says: the class and its contents, then the name and the text of each line."""
        return self._described(f"{self.num_samples:,} samples")

    def _html_facts(self) -> list[tuple[str, str]]:
        """Return what a notebook shows in addition."""
        return []

    def _pictures(self) -> list[Picture]:
        """Return thumbnails for a notebook, without a change of the position in the data."""
        return []

    def _described(self, contents: str, *lines: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the description: contents, batches, `lines`, and threads and memory."""
        partition = f", {'' if self._made_by == 'folds' else 'partition '}{self._partition}" if self._partition else ""
        shard = f", shard {self._shard}" if self._shard is not None else ""
        budget, options, batches = self._budget, self._options, counted(len(self), "batch")
        order = {True: "shuffled", False: "in order", "block": "shuffled in blocks"}[options.shuffle]
        in_flight = format_bytes(budget.batches_in_flight * self._format.batch_bytes)
        threads = counted(self.num_workers, "thread") if self.num_workers else "no thread"
        ahead = budget.max_ahead if self.num_workers else 0
        return [
            (type(self).__name__, f"{contents}{partition}{shard}"),
            ("batches", f"{batches} of {self.batch_size}, {order}, seed={options.seed}{self._repr_options()}"),
            *lines,
            (
                "loading",
                f"{threads}, {counted(ahead, 'batch')} ahead, at most {in_flight} in flight{self._repr_memory()}",
            ),
        ]

    def _repr_options(self) -> str:
        """Return the part of the `repr` about options that are not at their defaults."""
        options = self._options
        on_error = "" if options.on_error == "raise" else f", on_error={options.on_error!r}"
        return on_error + ("" if options.last_batch == "keep" else f", last_batch={options.last_batch!r}")

    def _repr_arrays(self, *arrays: str) -> tuple[str, str]:
        """Return the line of the `repr` about the arrays of a batch, before `transform`, which is not called for it."""
        transform = self._options.transform
        changes = "" if transform is None else f"; transform {name_of(transform).rpartition('.')[2]} may change them"
        return "arrays", ", ".join(arrays) + changes

    def _repr_memory(self) -> str:
        """Return the part of the `repr` about memory other than batches."""
        return ""
