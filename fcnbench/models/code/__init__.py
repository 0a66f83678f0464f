"""The user's model code: importing it with the modules beside it, and the files that its results depend on."""
