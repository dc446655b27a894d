"""Benchmarks: seeded estates and storms, and what the core and the worker spend on them (`make bench`)."""
