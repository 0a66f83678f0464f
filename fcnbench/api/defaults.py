"""What `run` does when nothing is said. Help texts name it, so importing this imports nothing else."""

DEFAULT_MODEL = "fcn8s-pocket"
DEFAULT_DATASET = "pocket"
