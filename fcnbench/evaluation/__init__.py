"""The evaluation loop, and everything that measures or checks a forward pass."""
