"""The base of every error that OpsBridge raises on purpose; each room draws its own branch at the top of its files.

The exit code says by whose fault, as the command line reports it: 2 the operator's configuration, 3 the broker.
"""


class OpsBridgeError(Exception):
    """Something an operator can act on; its text is shown as it is, without a traceback."""

    exit_code: int = 2
