"""Families of datasets: one module or package per native format.

Each one states the native layout, the source of the class names and the source of the splits, and defines a
`DatasetSpec` per split. `layout.py` has the part that datasets of image and label-map files share.
"""
