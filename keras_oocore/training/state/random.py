"""The states of the random generators that belong to no model: those of Python, NumPy, Keras and torch.

Layers and losses that call `keras.random` without a seed draw from Keras's generator. Dropout on torch draws from
torch's.
"""

import random
import sys
from typing import Any

import keras
import numpy as np


def capture() -> dict[str, Any]:
    """Return the states, as plain values and arrays."""
    states = {"python": random.getstate(), "numpy": np.random.get_state()}
    generator = _keras_generator(create=False)
    if generator is not None:
        states["keras"] = np.array(keras.ops.convert_to_numpy(generator.state))
    torch = sys.modules.get("torch")  # a program that did not import torch draws nothing from it
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().copy()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            states["cuda"] = [state.numpy().copy() for state in torch.cuda.get_rng_state_all()]
    return states


def restore(states: dict[str, Any]) -> None:
    """Set the generators to captured states, except those of devices that this machine does not have."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    generator = _keras_generator(create="keras" in states)
    if generator is not None and "keras" in states:
        generator.state.assign(states["keras"].astype(keras.backend.standardize_dtype(generator.state.dtype)))
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
        if len(states.get("cuda", [])) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([torch.from_numpy(state.copy()) for state in states.get("cuda", [])])


def _keras_generator(create: bool) -> Any:
    """Return Keras's global generator if it exists, or create it.

    Private: `global_seed_generator` (keras/src/random/seed_generator.py, 3.15.1). Without it, its state is not saved.
    """
    try:
        from keras.src.backend.common.global_state import get_global_attribute
        from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator
    except ImportError:
        return None
    found = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return global_seed_generator() if found is None and create else found
