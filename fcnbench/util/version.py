"""The version of fcnbench."""

__version__ = "0.1.0"
