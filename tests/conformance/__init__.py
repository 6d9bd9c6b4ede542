"""Commanded's behaviours one by one, and its defects that must not exist here."""
