"""The pure correlation core: inputs and the time go in, decisions come out.

Nothing here reads a clock, a file, the environment or a broker; the shell (stream, cli) does that and tells the core.
`pipeline.py` chains the stages for replay, tests and benchmarks; the stream runs each stage in an agent of its own.
"""
