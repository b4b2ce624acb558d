"""A decorator for functions that answer a misspelt keyword, or the word of another library, with what to type."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, shown

F = TypeVar("F", bound=Callable)


def answers(words: Mapping[str, str]) -> Callable[[F], F]:
    """Return a decorator for a function. An unknown keyword raises an `OptionError` that says what to type instead.

    Args:
        words: A word of another library → the name of the argument here, or a sentence.

    >>> @answers({"random_state": "seed", "shuffle": "Leave it out."})
    ... def draw(size, seed=0): return size, seed
    >>> draw(3, seed=1)
    (3, 1)
    >>> draw(3, random_state=1)
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `draw` has no argument `random_state`. Use `seed` instead. Received: \
random_state=1
    >>> draw(3, sed=1)
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `draw` has no argument `sed`. Did you mean 'seed'? Received: sed=1
    """

    def decorator(function: F) -> F:
        known = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            for name, value in kwargs.items():
                if name not in known:
                    word = words.get(name)
                    if word is None:
                        fix = did_you_mean(name, known)
                    else:
                        fix = f" Use `{word}` instead." if word in known else f" {word}"
                    raise OptionError(
                        f"`{function.__name__}` has no argument `{name}`.{fix} Received: {name}={shown(value)}"
                    )
            return function(*args, **kwargs)

        return checked

    return decorator
