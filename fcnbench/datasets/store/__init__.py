"""The canonical store of a dataset: build, read, check, describe and export it."""
