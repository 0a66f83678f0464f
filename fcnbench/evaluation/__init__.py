"""Layer 4: one evaluation loop for every model and every data set, on every device."""
