"""Models of other libraries and of files: `--model SCHEME:ARGUMENT`. Each library is an optional extra."""
