"""The arithmetic of the benchmark: integers from label maps, and the four metrics from the integers."""
