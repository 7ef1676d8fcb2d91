"""Formatting: from recordings as shipped to clips at one rate with their energies over time."""
