"""Measurements: each a command that prints its figures, and a line of JSON at its end."""
