"""Tests of what operators ask and order."""
