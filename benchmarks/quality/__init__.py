"""The quality of root choice and grouping, measured on seeded faults whose truth is known: `make quality`."""
