"""How the stages' state leaves them and comes back: as pairs of a key and a value, which a changelog keeps."""

Change = tuple[bytes, bytes | None]
"""A state entry to save: its key and its value, None to delete it."""
