"""Archives of datasets: catalogue, download, and folders, tar and zip files as one tree."""
