"""What a rule file may say, and what is wrong with one.

`kinds` has each kind of rule, `model` the table of them; `fields`, `scopes` and `durations` are what they are made of.
`build` makes a rule of what is said, `loops` looks at all rules together; `lint`, `formatting` and `schema` serve
whoever writes rules.
"""
