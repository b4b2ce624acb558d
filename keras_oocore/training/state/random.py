"""The states of the random generators that belong to no model: Python's, numpy's, Keras's own, and torch's.

Keras's draws for layers and losses that call `keras.random` without a seed, torch's for dropout.
"""

import random
import sys
from typing import Any

import keras
import numpy as np


def captured() -> dict[str, Any]:
    """The states, as plain values and arrays."""
    states = {"python": random.getstate(), "numpy": np.random.get_state()}
    generator = _keras_generator(make=False)
    if generator is not None:
        states["keras"] = np.array(keras.ops.convert_to_numpy(generator.state))
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
    generator = _keras_generator(make="keras" in states)
    if generator is not None and "keras" in states:
        generator.state.assign(states["keras"].astype(keras.backend.standardize_dtype(generator.state.dtype)))
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
        if len(states.get("cuda", [])) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([torch.from_numpy(state.copy()) for state in states.get("cuda", [])])


def _keras_generator(make: bool) -> Any:
    """Keras's generator, if somebody has used it, or made now.

    Private: `global_seed_generator` (keras/src/random/seed_generator.py, 3.15.1). Without it, nothing is saved of it.
    """
    try:
        from keras.src.backend.common.global_state import get_global_attribute
        from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator
    except ImportError:
        return None
    found = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return global_seed_generator() if found is None and make else found
