"""A real Kubernetes API server on this machine, with pods that only seem to run (kwok)."""
