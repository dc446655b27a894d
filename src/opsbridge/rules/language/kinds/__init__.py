"""The kinds of rules, each as a whole: its fields with the texts that editors show, and what it says to the core.

`shape` has what all kinds share, `raising` what those share that raise alerts; `model` has the table of all kinds.
"""
