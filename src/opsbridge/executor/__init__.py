"""`opsbridge executor`: does what responses ask for, from a list of actions that an operator allows, and nothing else.

`actions` reads the list (`model` says what it may hold, `templates` how values get into it), `commands` and `webhooks`
do one action, `history` knows from the topic `feedback` what was begun before, `orders` which records ask for
something, and `service` puts these together: at most once for each idempotency key, whatever dies.
"""

from opsbridge.executor.actions import Action, ActionError, Actions, load_actions

__all__ = ["Action", "ActionError", "Actions", "load_actions"]
