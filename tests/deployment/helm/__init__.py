"""Tests of the chart, without a cluster."""
