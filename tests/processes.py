"""Which tests start a process, found in their code, so that no test has to be marked."""

import inspect
import types
from pathlib import Path

TESTS = str(Path(__file__).parent)
STARTS_A_PROCESS = {"Popen", "Process", "ProcessPool", "ProcessPoolExecutor", "fork", "get_context", "subprocess"}


class ProcessFinder:
    """Reads the code of tests, of their fixtures, and of the helpers in `tests/` that they name."""

    def __init__(self):
        self.found = {}

    def starts_a_process(self, item):
        """Whether a test (`pytest.Function`) or one of its fixtures may start a process."""
        fixtures = [definitions[-1].func for definitions in item._fixtureinfo.name2fixturedefs.values()]
        return any(self.looks_like_it(function, item.cls) for function in [item.function, *fixtures])

    def looks_like_it(self, function, cls):
        function = inspect.unwrap(getattr(function, "__func__", function))
        if not isinstance(function, types.FunctionType) or not function.__code__.co_filename.startswith(TESTS):
            return False
        if (function, cls) not in self.found:
            self.found[function, cls] = False  # ends a recursion
            names = names_in(function.__code__)
            self.found[function, cls] = bool(names & STARTS_A_PROCESS) or any(
                self.looks_like_it(helper, cls) for helper in helpers(function.__globals__, names, cls)
            )
        return self.found[function, cls]


def names_in(code):
    """Names that the code uses, with those in its inner functions."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {*code.co_names}.union(*map(names_in, inner))


def helpers(scope, names, cls):
    """What these names may mean: a global of the module, a method of the class, a function of a helper module."""
    values = [scope[name] for name in names if name in scope]
    owners = [value for value in values if str(getattr(value, "__file__", "")).startswith(TESTS)]
    values += [getattr(owner, name, None) for owner in [*owners, cls] for name in names]
    classes = [value for value in values if isinstance(value, type)]
    return [*values, *(method for value in classes for method in vars(value).values())]
