"""What the server of forked_child.py imports. Only TensorFlow's own backend needs TensorFlow."""

import hidden_packages

hidden_packages.hide(optional=True)

import training_child  # noqa: E402, F401
