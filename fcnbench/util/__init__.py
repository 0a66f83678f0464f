"""Utilities without any knowledge of datasets or models: files, paths, digests, progress, threads, downloads."""
