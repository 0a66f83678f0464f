"""How the weights in the package were trained."""
