"""The states of the random generators that belong to no model: Python's, numpy's, and torch's, which has dropout's."""

import random
import sys
from typing import Any

import numpy as np


def captured() -> dict[str, Any]:
    """The states, as plain values and arrays."""
    states = {"python": random.getstate(), "numpy": np.random.get_state()}
    torch = sys.modules.get("torch")  # who did not import it draws nothing from it
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().copy()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            states["cuda"] = [state.numpy().copy() for state in torch.cuda.get_rng_state_all()]
    return states


def restore(states: dict[str, Any]) -> None:
    """Bring the generators to `captured` states; those of devices that are not there are left out."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
        if len(states.get("cuda", [])) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([torch.from_numpy(state.copy()) for state in states.get("cuda", [])])
