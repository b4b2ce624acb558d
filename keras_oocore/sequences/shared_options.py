"""What the shared arguments of a Sequence say about its batches, its threads and its cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.core.files import absolute_path
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.arguments import LoadingArguments


def batch_options(shared: Mapping[str, Any], **options: Any) -> BatchOptions:
    """Return the arguments of a Sequence that determine its batches."""
    seed = shared["seed"]
    names = BatchOptions.__dataclass_fields__
    chosen = {name: value for name, value in shared.items() if name in names and name != "seed"}
    made = BatchOptions(**chosen, seed=as_seed(seed), seed_is_drawn=seed is None, **options)
    return made.for_evaluation() if shared.get("subset") == "validation" else made


def loading_options(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a Sequence that determine how batches are made ahead."""
    return {name: shared[name] for name in LoadingArguments.__annotations__}


def cache_directory(shared: Mapping[str, Any]) -> Path | None:
    """Return the directory of the cache, or `None`. Each subset has its own directory within it."""
    cache, subset = shared["cache"], shared["subset"]
    if cache is None:
        if shared["overwrite_cache"]:
            raise OptionError("`overwrite_cache=True` requires `cache`. Received: cache=None")
        return None
    cache = absolute_path(cache, "cache")
    return cache if subset is None else cache / subset
