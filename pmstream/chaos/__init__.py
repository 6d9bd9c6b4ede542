"""Chaos: everything fails at random while a load runs; then all is verified."""
