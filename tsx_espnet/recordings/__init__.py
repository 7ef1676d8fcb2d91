"""Recordings of any length: cut into segments, their outputs in tracks, and what these hold."""
