"""Records of runs: the nouns, their JSON, their files, and what is recomputed from them. No torch."""
