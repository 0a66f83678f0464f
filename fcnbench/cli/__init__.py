"""The command line, one thin file per command. Everything heavy is imported inside the commands."""
