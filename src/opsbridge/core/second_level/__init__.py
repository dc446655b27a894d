"""Second level: situations from alerts, one domain at a time: roots, members, impact; and what domains share."""
