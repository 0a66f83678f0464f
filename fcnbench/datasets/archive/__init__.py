"""Archives that datasets come from: the catalogue, fetching, and folders, tar and zip files read as one tree."""
