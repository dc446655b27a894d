"""Why a verdict is what it is, and what would have changed it; asked from outside, never on the path of an event."""
