"""The Python functions of the commands: options in, a result object out; `inputs.py` says what they accept."""
