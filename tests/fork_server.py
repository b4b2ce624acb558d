"""What the server of forked_child.py imports. Only TensorFlow's own backend needs TensorFlow."""

import os

if os.environ.get("KERAS_BACKEND") in ("jax", "torch"):
    import hidden_tensorflow

    hidden_tensorflow.hide()
else:
    import tensorflow  # noqa: F401

import training_child  # noqa: F401
