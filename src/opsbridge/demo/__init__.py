"""`opsbridge demo`: a storm on the shipped estate through a real broker, worker and executor, shown live and judged.

`scenario` says what happens and what must come of it, `stage` runs worker and executor, `repairs` is what responses act
on, `audience` follows topics and figures, `judgement` holds them against the scenario, `screen` shows, `recording`
keeps the topics for a review. The command line only starts it.
"""
