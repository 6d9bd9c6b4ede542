"""Tests of what stands around pmstream: chart, compose file, image, package."""
