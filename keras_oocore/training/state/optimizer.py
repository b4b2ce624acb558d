"""What an optimizer remembers about each weight, and how to copy it to another optimizer.

This needs private parts of Keras. Each use below says where they are defined in Keras 3.15.1, and what happens if they
are missing.
"""

from collections import Counter
from typing import Any

import keras

NOT_STATE = ("_variables", "_trainable_variables", "_learning_rate")  # attributes of an optimizer
EMA = "_model_variables_moving_average"


def copy_state(old: Any, new: Any, trainable: list[keras.Variable]) -> tuple[int, int]:
    """Copy the state that two optimizers have in common.

    Returns:
        Of how many of the model's variables the state was copied, and of how many it starts over.
    """
    before, now = _state(old), _state(new)
    weights = {id(weight): weight for weight in trainable}
    kept, fresh = set(), set()
    for key, variable in now.items():
        (*_, role), weight = key
        if key in before and before[key].shape == variable.shape:
            variable.assign(keras.ops.copy(before[key]))  # a copy: JAX frees the memory of a state in each step
            kept.add(weight)
        else:
            fresh.add(weight)
            # An average that starts at zero when steps were already counted would overwrite the weight at the end of
            # `fit` (base_optimizer.py, `finalize_variable_values`).
            if role == EMA and weight in weights:
                variable.assign(keras.ops.copy(weights[weight]))
    return len(kept - fresh - {None}), len(fresh - {None})


def unshare_averages(optimizer: keras.optimizers.Optimizer) -> None:
    """Give moving averages memory of their own.

    `fit` ends by overwriting the weights with their averages. On JAX both are one array afterwards, which the next
    `fit` of Keras 3.15.1 donates twice and fails ("Attempt to donate the same buffer twice").
    """
    for ((*_, role), _weight), variable in _state(optimizer).items():
        if role == EMA:
            variable.assign(keras.ops.copy(variable))


def _state(optimizer: keras.optimizers.Optimizer, parents: tuple[str, ...] = ()) -> dict[tuple, keras.Variable]:
    """Return the variables of an optimizer by their role and the `id` of the model's variable they belong to, or None.

    A role is the name of an attribute that is a variable (`_iterations`) or a list with one item for each variable of
    the model (`_momentums`). Private: `_trainable_variables` (base_optimizer.py) is the list that these follow.
    Variables in no such attribute are identified by their name, which contains the path of the model's variable, if
    the name is unique.
    """
    own = {id(variable): variable for variable in optimizer.variables}
    own.pop(id(getattr(optimizer, "_learning_rate", None)), None)
    weights = list(getattr(optimizer, "_trainable_variables", ()))
    state = {}
    for name, value in vars(optimizer).items():
        role = (*parents, name)
        if name in NOT_STATE:
            continue
        if isinstance(value, keras.optimizers.Optimizer):
            state |= _state(value, role)
            for variable in value.variables:
                own.pop(id(variable), None)
        elif isinstance(value, keras.Variable) and id(value) in own:
            state[role, None] = own.pop(id(value))
        elif isinstance(value, list) and len(value) == len(weights):
            for weight, variable in zip(weights, value):
                if isinstance(variable, keras.Variable) and id(variable) in own:
                    state[role, id(weight)] = own.pop(id(variable))
    names = Counter(variable.name for variable in own.values())
    unique = [variable for variable in own.values() if names[variable.name] == 1]
    return state | {((*parents, "by name", variable.name), None): variable for variable in unique}
