"""Models: the segmenter interface, the FCNs of the papers, weights, adapters for other libraries, and loading."""
