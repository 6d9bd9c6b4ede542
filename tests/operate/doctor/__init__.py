"""`pmstream doctor`: what each check finds, and nothing where nothing is wrong."""
