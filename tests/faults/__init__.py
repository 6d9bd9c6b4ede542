"""One test or more for each fault that must be survived, named by its number."""
