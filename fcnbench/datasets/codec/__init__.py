"""Decoding and encoding of images and label maps."""
