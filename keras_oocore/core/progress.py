"""Progress bars: in a notebook as a widget where it has widgets, as text elsewhere."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # text is good enough where ipywidgets are not installed
    from tqdm.auto import tqdm

__all__ = ["QUIET_SECONDS", "tqdm"]

QUIET_SECONDS = 1.0  # before a bar shows: what is quicker wants none
