"""Tests of tracing: spans kept in memory by the real SDK, and a real OTLP receiver."""
