"""Everybody else's models: `--model SCHEME:ARGUMENT`. Each scheme is a module here and an optional extra."""
