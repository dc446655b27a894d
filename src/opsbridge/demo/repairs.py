"""The demo's own small world that auto-responses act on: what can be done there, and what was.

The one action of its executor leaves a line in a file of the demo's directory; nothing else on this computer is
touched. `show` reads the file, and lets the scenario go on from there.
"""

import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

_RULES: Final = Path(__file__).with_name("rules.yaml")

_RESTART: Final = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); print(sys.argv[2], 'is restarted')"


@dataclass(frozen=True, slots=True)
class Repairs:
    """A directory for rules, actions and what was done."""

    directory: Path

    @property
    def rules(self) -> Path:
        """The shipped rules and the demo's own."""
        return self.directory / "rules"

    @property
    def actions(self) -> Path:
        """What the executor may do."""
        return self.directory / "actions.json"

    @property
    def _restarts(self) -> Path:
        return self.directory / "restarts"

    def prepare(self, shipped: Path) -> None:
        """Write the files, beside a copy of the rules to be shown."""
        if shipped.is_dir():
            shutil.copytree(shipped, self.rules)
        else:
            self.rules.mkdir()
            shutil.copy(shipped, self.rules)
        shutil.copy(_RULES, self.rules / "00-demo.yaml")
        restart = {
            "name": "restart-hung-service",
            "command": [sys.executable, "-c", _RESTART, str(self._restarts), "{host}"],
            "parameters": {"host": {"pattern": "[A-Za-z0-9._-]+"}},
            "timeout": "5s",
        }
        self.actions.write_bytes(msgspec.json.encode({"version": 1, "actions": [restart]}))
        self._restarts.touch()

    def restarts(self) -> Counter[str]:
        """How often each CI was restarted."""
        return Counter(self._restarts.read_text(encoding="utf-8").split())
