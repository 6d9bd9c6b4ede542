"""What an operator asks and orders, without a command line: topics, start positions, instances."""
