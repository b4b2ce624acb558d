"""Progress bars: widgets in a notebook that supports them, and text elsewhere."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # text is good enough where ipywidgets is not installed
    from tqdm.auto import tqdm

__all__ = ["QUIET_SECONDS", "tqdm"]

QUIET_SECONDS = 1.0  # the delay before a bar appears: shorter work shows none
