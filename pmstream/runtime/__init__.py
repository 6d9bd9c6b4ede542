"""The shell: moves bytes, owns time."""
