"""The training of the weights that ship with fcnbench."""
