"""The fully convolutional networks of the papers, and the exact fast path of their forward pass."""
