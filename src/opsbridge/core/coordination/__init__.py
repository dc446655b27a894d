"""The coordination stage: what can only be decided with all situations in view; one place, and little to do there."""
