"""Trains models end to end on datasets that are included in scikit-learn."""

DIRECTORY = "keras_oocore_demo"
IMAGE_EPOCHS, TABLE_EPOCHS = 12, 20
