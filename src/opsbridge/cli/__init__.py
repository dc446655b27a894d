"""The command line: one file per group of commands; every command but `run`, `send` and `demo` works without a broker.

Data goes to stdout, everything said to people to stderr. What a command needs is imported when it runs, so that
`opsbridge version` and the shell's completion stay fast and `replay` never loads the streaming libraries.
"""
