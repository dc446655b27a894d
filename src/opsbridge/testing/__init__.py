"""Rules put to the test: timetables in virtual time that rule files carry, and what every rule makes of a single event.

At the rim of the house: it drives the production core with rules, topology and sources, and nothing depends on it but
the command line and pytest. What a rule means is decided in `rules` and `core`, never here. Nothing is imported here,
because pytest loads the plugin wherever OpsBridge is installed.
"""
