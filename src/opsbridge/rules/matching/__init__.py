"""Whom a rule is about: conditions, and the one function that asks all of them at once."""
