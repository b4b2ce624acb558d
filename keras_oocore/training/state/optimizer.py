"""What an optimizer remembers of each weight, and how another one takes it over.

Keras keeps the parts private that this needs; each use below says where, in Keras 3.15.1, and what happens without it.
"""

from collections import Counter

import keras

NOT_STATE = ("_variables", "_trainable_variables", "_learning_rate")  # attributes of an optimizer
EMA = "_model_variables_moving_average"


def copy_state(old, new, trained: list[keras.Variable]) -> tuple[int, int]:
    """Copy what two optimizers have in common; how many of the model's variables it was of, and of how many not."""
    before, now = _state(old), _state(new)
    weights = {id(weight): weight for weight in trained}
    kept, begun = set(), set()
    for key, variable in now.items():
        (*_, role), weight = key
        if key in before and before[key].shape == variable.shape:
            variable.assign(keras.ops.copy(before[key]))  # a copy: JAX gives the memory of a state back in each step
            kept.add(weight)
        else:
            begun.add(weight)
            # An average that begins at zero once steps are counted would be written over the weight at the end of
            # `fit` (base_optimizer.py, `finalize_variable_values`).
            if role == EMA and weight in weights:
                variable.assign(keras.ops.copy(weights[weight]))
    return len(kept - begun - {None}), len(begun - {None})


def unshare_averages(optimizer: keras.optimizers.Optimizer) -> None:
    """Let moving averages have memory of their own.

    `fit` ends by giving weights their averages; on JAX both are then one array, which the next `fit` of Keras 3.15.1
    gives back twice and fails ("Attempt to donate the same buffer twice").
    """
    for ((*_, role), _weight), variable in _state(optimizer).items():
        if role == EMA:
            variable.assign(keras.ops.copy(variable))


def _state(optimizer: keras.optimizers.Optimizer, within: tuple[str, ...] = ()) -> dict[tuple, keras.Variable]:
    """The variables of an optimizer by their role and the id of the model's variable that they belong to, or None.

    A role is the name of the attribute: a variable (`_iterations`), or a list with an item for each variable of the
    model (`_momentums`). Private: `_trainable_variables` (base_optimizer.py) is the list that these follow. What is in
    no such attribute goes by its name, which holds the path of the model's variable, where no two share it.
    """
    own = {id(variable): variable for variable in optimizer.variables}
    own.pop(id(getattr(optimizer, "_learning_rate", None)), None)
    weights = list(getattr(optimizer, "_trainable_variables", ()))
    state = {}
    for name, value in vars(optimizer).items():
        role = (*within, name)
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
    named = [variable for variable in own.values() if names[variable.name] == 1]
    return state | {((*within, "by name", variable.name), None): variable for variable in named}
