"""Event and outage review: what happened in a period, counted so that the figures add up, in words and as a page."""
