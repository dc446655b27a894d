"""`opsbridge demo`: a storm on the shipped estate through a real broker and a real worker, shown live and judged.

`scenario` says what happens and what must come of it, `stage` runs broker and worker, `audience` follows their topics
and figures, `judgement` holds them against the scenario, `screen` shows. The command line only starts it.
"""
