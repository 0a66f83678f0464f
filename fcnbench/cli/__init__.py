"""Layer 7: the command line, one thin file per command. Everything else is imported inside the commands."""
