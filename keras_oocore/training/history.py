"""The history that a training returns: that of Keras, which a notebook shows as a table."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_oocore.core import html
from keras_oocore.core.text import counted
from keras_oocore.plots.history_values import NOT_METRICS, as_numbers, best_of, curve_of, epochs_of, values_and_epochs

MOST_COLUMNS = 30  # further ones are counted

if TYPE_CHECKING:

    class History:
        """What type checkers know of `keras.callbacks.History`, because Keras has no types."""

        history: dict[str, list[Any]]

else:
    History = keras.callbacks.History


class TrainingHistory(History):
    """The `keras.callbacks.History` of a training. The last line of a cell shows it as a table.

    >>> history = TrainingHistory()
    >>> history.history = {"loss": [2.0, 1.0], "val_loss": [2.5, 3.0]}
    >>> history
    <TrainingHistory: 2 epochs, best epoch: 1 by val_loss>
    >>> "best epoch: 1 by val_loss" in history._repr_html_()
    True
    """

    def __repr__(self) -> str:
        values = self._values()
        return f"<TrainingHistory: {self._detail(values) if values else '0 epochs'}>"

    @html.never_raising
    def _repr_html_(self) -> str:
        values = self._values()
        if not values:
            return html.page(html.heading("History", "0 epochs"))
        _, epochs = values_and_epochs(self)
        best = best_of(values, epochs)
        rows = [
            (name, *_at(name, numbers, epochs, (epochs[0], best and best[0], epochs[-1])))
            for name, numbers in list(values.items())[:MOST_COLUMNS]
        ]
        if len(values) > MOST_COLUMNS:
            rows.append((f"… and {len(values) - MOST_COLUMNS:,} more",))
        notes = [(name, _runs(self.history[name])) for name in NOT_METRICS if name in self.history]
        return html.page(
            html.heading("History", self._detail(values)),
            html.table(("", "first epoch", "best epoch", "last epoch"), rows, numbers=(1, 2, 3)),
            html.facts(notes) if notes else "",
        )

    def _values(self) -> dict[str, np.ndarray]:
        """The numbers of each metric that has any."""
        values = {name: as_numbers(numbers) for name, numbers in self.history.items() if name not in NOT_METRICS}
        return {name: numbers for name, numbers in values.items() if len(numbers)}

    def _detail(self, values: dict[str, np.ndarray]) -> str:
        _, epochs = values_and_epochs(self)
        best = best_of(values, epochs)
        return counted(len(epochs), "epoch") + (f", best epoch: {best[0]} by {best[1]}" if best else "")


def _at(name: str, numbers: np.ndarray, epochs: np.ndarray, wanted: tuple) -> list[str]:
    """The numbers of a column at some epochs, or empty strings where it has none."""
    known = dict(zip(epochs_of(curve_of(name), len(numbers), epochs).tolist(), numbers.tolist()))
    return [f"{known[epoch]:.4g}" if epoch in known else "" for epoch in wanted]


def _runs(values: list) -> str:
    """The distinct values in order, with the number of epochs of each."""
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return ", ".join(f"{value} ({counted(count, 'epoch')})" for value, count in counts.items())
