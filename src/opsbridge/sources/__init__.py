"""Payload formats of monitoring tools, decoded into the canonical report that intake takes."""
