"""Hot reload in a replay: files that change while it reads are taken over as a whole, or refused and the old ones stay.

A thread watches the files and waits for SIGHUP; the run is only touched under the lock that the reading thread holds
for each event, so a reload falls between two events. What becomes of it is told on stderr. `replay --watch` calls this.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from watchfiles import watch

from opsbridge.cli.output import say
from opsbridge.cli.preparing import Prepared
from opsbridge.cli.replaying import Replay
from opsbridge.documents import DocumentError
from opsbridge.errors import OpsBridgeError
from opsbridge.stream.estate import difference

LOOK_MS: Final = 200
"""How often it is looked whether a signal came."""


class Watcher:
    """Keeps the rules of one run those of the files."""

    def __init__(self, run: Replay, prepared: Prepared, lock: threading.Lock) -> None:
        self._run, self._lock = run, lock
        self._prepared = prepared
        self._asked = threading.Event()
        self._stop = threading.Event()
        self._told = ""  # what was said of files that cannot be used: said once, not at every change of another file

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Meanwhile, changes are taken over."""
        thread = threading.Thread(target=self._watch, name="rules", daemon=True)
        before = signal.signal(signal.SIGHUP, self._hang_up) if hasattr(signal, "SIGHUP") else None
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            if hasattr(signal, "SIGHUP"):
                signal.signal(signal.SIGHUP, before)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()

    def _watch(self) -> None:
        watched: set[Path] = set()
        while not self._stop.is_set():
            changed = watched != (watched := self._folders())
            if not watched:  # all of them are gone: the files that are missing have been told
                self._stop.wait(LOOK_MS / 1000)
                continue
            try:
                for changes in watch(
                    *watched,
                    stop_event=self._stop,
                    rust_timeout=LOOK_MS,
                    yield_on_timeout=True,
                    recursive=False,
                ):
                    asked = self._asked.is_set()
                    self._asked.clear()
                    if changes or changed or asked:  # also what changed before anybody watched
                        changed = False
                        self.reload(asked=asked)
                    if changes and watched != self._folders():
                        break
            except FileNotFoundError:  # gone between being found and being watched
                watched = set()

    def _folders(self) -> set[Path]:
        """What to watch: folders, since a file that an editor has replaced would not be heard of any more."""
        found: set[Path] = set()
        for path in (*self._prepared.paths, *self._prepared.known_paths):
            if path.is_dir():
                found.update(Path(folder) for folder, _, _ in os.walk(path))
            elif path.parent.is_dir():
                found.add(path.parent)
        return found

    def reload(self, *, asked: bool) -> None:
        """Take over what the files say now, or say why not; `asked`: answer also if nothing has changed."""
        old = self._prepared
        try:
            new = old.again()
        except OpsBridgeError as error:
            said = error.findings if isinstance(error, DocumentError) else str(error).splitlines()
            lines = "\n".join(str(each) for each in said)
            if asked or lines != self._told:
                say(lines)
                say(f"rules refused; those in use stay, digest {old.rules.digest}")
            self._told = lines
            return
        if new.rules.digest == old.rules.digest:
            if asked or self._told:
                say(f"rules have not changed, digest {old.rules.digest}")
            self._told = ""
            return
        self._told = ""
        with self._lock:
            self._run.reload(new.rules.book, new.graph if new.graph is not old.graph else None)
        self._prepared = new
        for finding in new.findings:
            say(f"{finding.level}: {finding}")
        what = difference(old.rules, new.rules)
        say(f"rules reloaded: {what}; digest {old.rules.digest} -> {new.rules.digest}")
