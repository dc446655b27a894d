"""First level: alerts from events, one partition at a time: duplicates, pairs, what is withheld, what is derived."""
