"""A decorator for functions that share keyword arguments, whose types and defaults are written once."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown

F = TypeVar("F", bound=Callable)


def shares_arguments(
    hints: Mapping[str, Any],
    defaults: Mapping[str, Any],
    check: Callable[[dict[str, Any], Callable], None],
    required: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Return a decorator for a function, or an `__init__`, that takes shared arguments as `**shared`.

    The function receives all of them, with their defaults filled in, and `inspect.signature` shows them. Own arguments
    of the function come first, and replace shared ones of the same name.

    Args:
        hints: Name of a shared argument → its type.
        defaults: Name of a shared argument → its default, in the order of the signature.
        check: Called with the keywords and the function before each call. Raises an error for an unknown keyword.
        required: Name of an argument without a default → what to pass, for the error if it is missing.

    >>> @shares_arguments({"seed": int}, {"seed": 0}, lambda keywords, function: None)
    ... def draw(size, **shared): return size, shared
    >>> draw(3), list(inspect.signature(draw).parameters), draw.shared_defaults
    ((3, {'seed': 0}), ['size', 'seed'], {'seed': 0})
    """

    def decorator(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        needed = [parameter.name for parameter in own if parameter.default is parameter.empty]
        own_names = {parameter.name for parameter in own}
        shared_defaults = {name: default for name, default in defaults.items() if name not in own_names}
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
            for name, default in shared_defaults.items()
        ]

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            check(kwargs, checked)
            if missing := [name for name in needed[len(args) :] if name not in kwargs and name in (required or {})]:
                raise OptionError(_missing(checked, missing[0], required[missing[0]], kwargs))
            return function(*args, **{**shared_defaults, **kwargs})

        checked.__signature__ = signature.replace(parameters=[*own, *shared])
        checked.shared_defaults = shared_defaults
        return checked

    return decorator


def _missing(function: Callable, name: str, fix: str, keywords: Mapping[str, Any]) -> str:
    received = ", ".join(f"{key}={shown(value)}" for key, value in keywords.items()) or "nothing"
    return f"{function.__qualname__.split('.')[0]} requires `{name}`: {fix}. Received: {received}"
