"""The response stage: what a situation means for people and machines, and whether what was done about it worked."""
