"""The book in docs/: what is made from the code, and the tests that hold the rest to it."""
