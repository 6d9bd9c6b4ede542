"""Whole journeys: from a requested transfer to a deleted instance."""
