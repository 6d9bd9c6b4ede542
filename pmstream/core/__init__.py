"""The pure core: what an input means to an instance. No I/O, no clock, no chance."""
