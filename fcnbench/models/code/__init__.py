"""The user's model code: importing it with its neighbours, and the files that take part in its result."""
