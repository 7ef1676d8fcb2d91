"""Sounds generated from parametric models of their production: the corpus of ``egs/mini``."""
