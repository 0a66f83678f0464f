"""Benchmarks: fcnbench and its peers, measured side by side. They are run by hand; no test depends on a time."""
