"""Read `transfer` first; `bank` has the accounts that answer its commands."""
