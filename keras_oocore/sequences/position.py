"""A place in the data as a small JSON: what it says, and whether it belongs to these data."""

import json
from typing import Any

from keras_oocore.batches.maker import BatchMaker
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.fingerprint import of_array

KEYS = ("seed", "epoch", "batches", "num_samples", "fingerprint")


def fingerprint(maker: BatchMaker) -> dict[str, Any]:
    """Which samples lie in which batches, apart from the seed, as plain JSON; the same in the next run."""
    labels = maker.labels.values
    # In order there is one order alone, whatever blocks are read at a time: they depend on the number of threads.
    order = maker.order.which() if maker.options.shuffle else {"shuffle": False}
    described = {
        **maker.samples.which(),
        "labels": None if labels is None else of_array(labels),
        "batch_size": int(maker.options.batch_size),
        "last_batch": maker.options.last_batch,
        **order,
    }
    return json.loads(json.dumps(described))  # tuples come back as lists


def checked_state(state: Any, num_batches: int, here: dict[str, Any]) -> tuple[int, int, int]:
    """Seed, epoch and batches of a state, when it belongs to the data that `here` describes.

    Raises:
        OptionError: when it is no state.
        DataError: when it belongs to other data; it says what differs.
    """
    if not isinstance(state, dict) or set(KEYS) - set(state) or not isinstance(state["fingerprint"], dict):
        raise OptionError(f"`state` should be what `state_dict()` returned. Received: {state!r:.200}")
    numbers = [state["seed"], state["epoch"], state["batches"]]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or state["batches"] > num_batches:
        raise OptionError(
            "`state` should have a seed, an epoch and a number of batches of 0 or more, "
            f"of {num_batches} batches at most. Received: {dict(zip(KEYS, numbers))}"
        )
    there = {"num_samples": state["num_samples"], **state["fingerprint"]}
    differences = [
        f"{key} was {there.get(key)!r}, is {here.get(key)!r}"
        for key in {**there, **here}
        if there.get(key) != here.get(key)
    ]
    if differences:
        raise DataError(
            f"The state belongs to other data: {'; '.join(differences)}. "
            "Make the Sequence of the same samples and batches as then, or begin anew."
        )
    return tuple(numbers)
