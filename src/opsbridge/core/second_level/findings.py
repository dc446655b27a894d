"""Findings: the situations that domains have found by themselves, with their members and where these have been told.

Bookkeeping for backbone.py, which decides what a finding belongs to. A member is told once in each situation that has
it; what has been told in one that it then leaves is kept until that one says so. Nothing is ever capped: every member
is an entry of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from opsbridge.core.decisions import Member, Situation
from opsbridge.core.state import Change

_FINDING, _MEMBER, _LEAVING, _TALLY, _EARLIER = b"f", b"m", b"l", b"t", b"r"
KINDS: Final = (_FINDING, _MEMBER, _LEAVING, _TALLY, _EARLIER)
"""How the keys of state entries begin."""


class FindingState(msgspec.Struct, array_like=True, gc=False):
    """What is saved of one finding. The order of the fields is the format of the changelog."""

    snapshot: Situation
    """As last heard whole."""
    version: int = 0
    """The newest that was heard of, perhaps not whole yet..."""
    digests: list[str] = []
    """...and the records of it that were."""
    position: int = 0
    """Counts what has been said of it to the engine; 0: nothing yet."""
    occurrence: int = 0
    """How often it has opened."""
    firing: bool = False
    """Whether the engine takes it as firing."""
    told_in: str = ""
    """The situation in which its members have been told last; empty if in none that still has them."""
    sequence: int = 0
    """Counts joins of members."""
    ended: int | None = None
    """When there was nothing left to say of it; kept for a while to recognise repetitions."""


class Held(msgspec.Struct, array_like=True, gc=False):
    """A member of a finding, as it is saved."""

    finding: str
    member: Member
    sequence: int
    told: bool = False
    """It has been told where its finding has been told."""
    past: bool = False
    """A firing that another one followed before it was told."""
    old: bool = False
    """An earlier firing has been told where its finding has been told; that one stays there for good."""


class Leaving(msgspec.Struct, array_like=True, gc=False):
    """A member that a situation has yet to say farewell to."""

    situation: str
    member: Member
    sequence: int


class Tally(msgspec.Struct, array_like=True, gc=False):
    """The alerts of a situation that are members of no finding, by fingerprint."""

    own: dict[str, tuple[int, bool]] = {}
    """Those of backbone CIs: the firing that was told last, and whether one before it was told too."""
    stayed: list[str] = []
    """Those that fired again for another reason: what had been told of them stays."""


class Earlier(msgspec.Struct, array_like=True, gc=False):
    """An alert that a situation had when it was closed; it may begin again."""

    situation: str
    fingerprint: str


class Finding:
    """One finding with its members at hand."""

    __slots__ = ("members", "past", "state")

    def __init__(self, state: FindingState) -> None:
        self.state = state
        self.members: dict[str, Held] = {}
        """By fingerprint, in the order in which they joined."""
        self.past: dict[tuple[str, int], Held] = {}

    @property
    def id(self) -> str:
        """The situation's id in its domain."""
        return self.state.snapshot.id

    def fresh(self) -> list[Held]:
        """The members that have not been told yet where the finding is told."""
        return [held for held in self.members.values() if not held.told]

    @property
    def over(self) -> bool:
        """Whether its domain has nothing more to say of it."""
        return self.state.snapshot.status in ("closed", "merged")


_encode = msgspec.json.Encoder().encode
_decode_finding = msgspec.json.Decoder(FindingState).decode
_decode_member = msgspec.json.Decoder(Held).decode
_decode_leaving = msgspec.json.Decoder(Leaving).decode
_decode_earlier = msgspec.json.Decoder(Earlier).decode
_decode_tally = msgspec.json.Decoder(Tally).decode


class Findings:
    """All findings of one partition."""

    __slots__ = ("_dirty", "_earlier", "_holders", "_leaving", "_parted", "_tallies", "by_id", "inside", "merged")

    def __init__(self) -> None:
        self.by_id: dict[str, Finding] = {}
        self.inside: dict[str, dict[str, None]] = {}
        """Situation -> the findings that have been told in it."""
        self.merged: dict[str, dict[str, None]] = {}
        """Finding -> those that have been merged into it."""
        self._holders: dict[str, str] = {}  # fingerprint -> the finding that has the alert
        self._leaving: dict[str, dict[tuple[str, int], Leaving]] = {}
        self._parted = 0
        self._tallies: dict[str, Tally] = {}
        self._earlier: dict[str, dict[str, None]] = {}  # closed situation, or one that began again -> its alerts then
        self._dirty: dict[bytes, FindingState | Held | Leaving | Tally | Earlier | None] = {}

    # members come and go

    def join(self, finding: Finding, member: Member) -> None:
        """The finding has this firing of an alert, whoever had the alert before."""
        name, old = member.fingerprint, False
        holder = self.by_id.get(self._holders.get(name, ""))
        before = None if holder is None else holder.members.get(name)
        if holder is not None and before is not None:
            if holder is finding and before.member == member:
                return
            self._drop(holder, before)
            if before.member.occurrence == member.occurrence:
                self._part(holder, before)
            else:
                old = before.told or before.old
                if old and holder is not finding:
                    self._stay(holder, name)
                    old = False
                if not before.told:
                    self._hold(finding, before.member, past=True)
        self._hold(finding, member, old=old)

    def leave(self, finding: Finding, member: Member) -> None:
        """The finding no longer has this firing."""
        held = finding.members.get(member.fingerprint)
        if held is not None and held.member.occurrence == member.occurrence:
            self._drop(finding, held)
            self._part(finding, held)

    def _hold(self, finding: Finding, member: Member, *, past: bool = False, old: bool = False) -> None:
        state = finding.state
        state.sequence += 1
        held = Held(finding.id, member, state.sequence, past=past, old=old)
        if past:
            finding.past[member.fingerprint, member.occurrence] = held
        else:
            finding.members[member.fingerprint] = held
            self._holders[member.fingerprint] = finding.id
        self._dirty[_member_key(held)] = held
        self.changed(finding)

    def _drop(self, finding: Finding, held: Held) -> None:
        name = held.member.fingerprint
        del finding.members[name]
        if self._holders.get(name) == finding.id:
            del self._holders[name]
        self._dirty[_member_key(held)] = None

    def _part(self, finding: Finding, held: Held) -> None:
        """The situation in which the member was told has to say that it left."""
        if held.told and finding.state.told_in:
            self._parted += 1
            leaving = Leaving(finding.state.told_in, held.member, self._parted)
            self._leaving.setdefault(leaving.situation, {})[held.member.fingerprint, held.member.occurrence] = leaving
            self._dirty[_leaving_key(leaving)] = leaving
        if held.old:
            self._stay(finding, held.member.fingerprint)

    def _stay(self, finding: Finding, fingerprint: str) -> None:
        """What has been told of this alert stays where the finding was told."""
        if finding.state.told_in:
            self._tally(finding.state.told_in).stayed.append(fingerprint)

    # telling

    def move(self, finding: Finding, situation: str) -> None:
        """From now on the finding is told in this situation (empty: in none yet): all of it anew."""
        state = finding.state
        if state.told_in == situation:
            return
        if state.told_in:
            inside = self.inside[state.told_in]
            del inside[finding.id]
            if not inside:
                del self.inside[state.told_in]
            for held in finding.members.values():
                self._part(finding, held)
                held.told = held.old = False
                self._dirty[_member_key(held)] = held
        state.told_in = situation
        if situation:
            self.inside.setdefault(situation, {})[finding.id] = None
        self.changed(finding)

    def tell(self, finding: Finding) -> list[Member]:
        """The members that have not been told yet where the finding is told; they are now."""
        past = [held.member for held in finding.past.values()]
        for held in finding.past.values():
            self._dirty[_member_key(held)] = None
            self._stay(finding, held.member.fingerprint)
        finding.past.clear()
        fresh = finding.fresh()
        for held in fresh:
            held.told = True
            self._dirty[_member_key(held)] = held
        return [*past, *(held.member for held in fresh)]

    def count(self, situation: str, joined: Iterable[Member], left: Iterable[Member]) -> None:
        """These alerts of backbone CIs have joined and left the situation."""
        for member in left:
            own = self._tally(situation).own
            told, before = own.pop(member.fingerprint, (0, False))
            if before or told != member.occurrence:
                own[member.fingerprint] = 0, True
        for member in joined:
            own = self._tally(situation).own
            told, before = own.get(member.fingerprint, (member.occurrence, False))
            own[member.fingerprint] = member.occurrence, before or told != member.occurrence

    def counted(self, situation: str, inside: Sequence[Finding]) -> tuple[int, int]:
        """How many alerts a situation with these findings has, and how many of them are no members of a finding."""
        tally = self._tallies.get(situation, Tally())
        stayed: dict[str, None] = {}
        for name in tally.stayed:
            holder = self._holders.get(name)
            again = next((finding for finding in inside if finding.id == holder), None)
            if again is None:
                stayed[name] = None
            else:
                held = again.members[name]
                held.old = True
                self._dirty[_member_key(held)] = held
        if tally.stayed:
            self._tally(situation).stayed = list(stayed)
        other = len(tally.own) + len(stayed)
        now = {*tally.own, *stayed, *(name for finding in inside for name in finding.members)}
        earlier = sum(name not in now for name in self._earlier.get(situation, ()))
        return other + earlier + sum(len(finding.members) for finding in inside), other

    def closed(self, situation: str, inside: Iterable[Finding]) -> None:
        """The situation with these findings was closed and may begin again: what it has been told to have, it has."""
        tally = self._tallies.get(situation, Tally())
        earlier = self._earlier.setdefault(situation, {})
        for name in (*tally.own, *tally.stayed, *(name for finding in inside for name in finding.members)):
            earlier[name] = None
            self._dirty[_earlier_key(situation, name)] = Earlier(situation, name)

    def forget_closed(self, remembered: Callable[[str], bool]) -> None:
        """Forget the alerts of closed situations that are not remembered any more, and will not begin again."""
        for situation in [name for name in self._earlier if not remembered(name)]:
            for fingerprint in self._earlier.pop(situation):
                self._dirty[_earlier_key(situation, fingerprint)] = None

    def over(self, situation: str) -> None:
        """Nothing more will be told of this situation."""
        if self._tallies.pop(situation, None) is not None:
            self._dirty[_TALLY + situation.encode()] = None

    def _tally(self, situation: str) -> Tally:
        tally = self._tallies.setdefault(situation, Tally())
        self._dirty[_TALLY + situation.encode()] = tally
        return tally

    def farewells(self, situation: str) -> list[Member]:
        """The members that this situation has told and has to say have left; after this, it has."""
        found = list(self._leaving.pop(situation, {}).values())
        for leaving in found:
            self._dirty[_leaving_key(leaving)] = None
        return [leaving.member for leaving in found]

    def settle(self, finding: Finding) -> None:
        """What has been told of the finding stays where it is for good: that situation has closed."""
        for held in [held for held in finding.members.values() if held.told]:
            self._drop(finding, held)
        self.move(finding, "")

    # findings

    def heard(self, finding: Finding, snapshot: Situation) -> None:
        """A new snapshot of the finding is whole."""
        finding.state.snapshot = snapshot
        self._index(finding)
        self.changed(finding)

    def _index(self, finding: Finding) -> None:
        heir = finding.state.snapshot.merged_into
        if heir is not None:
            self.merged.setdefault(heir, {})[finding.id] = None

    def changed(self, finding: Finding) -> None:
        """Its state is to be saved."""
        self._dirty[_FINDING + finding.id.encode()] = finding.state

    def forget(self, finding: Finding) -> None:
        """Nothing will be heard of the finding any more."""
        for held in (*finding.members.values(), *finding.past.values()):
            self._dirty[_member_key(held)] = None
            if self._holders.get(held.member.fingerprint) == finding.id:
                del self._holders[held.member.fingerprint]
        self.move(finding, "")
        heir = finding.state.snapshot.merged_into
        if heir in self.merged:
            self.merged[heir].pop(finding.id, None)
            if not self.merged[heir]:
                del self.merged[heir]
        del self.by_id[finding.id]
        self._dirty[_FINDING + finding.id.encode()] = None

    # state

    def changes(self) -> Iterator[Change]:
        """The state entries that changed since the last call."""
        for key, state in self._dirty.items():
            yield key, None if state is None else _encode(state)
        self._dirty.clear()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back; for a new instance."""
        members: list[Held] = []
        leaving: list[Leaving] = []
        for key, value in entries:
            if key[:1] == _MEMBER:
                members.append(_decode_member(value))
            elif key[:1] == _LEAVING:
                leaving.append(_decode_leaving(value))
            elif key[:1] == _EARLIER:
                was = _decode_earlier(value)
                self._earlier.setdefault(was.situation, {})[was.fingerprint] = None
            elif key[:1] == _TALLY:
                self._tallies[key[1:].decode()] = _decode_tally(value)
            else:
                finding = Finding(_decode_finding(value))
                self.by_id[finding.id] = finding
        for finding in sorted(self.by_id.values(), key=lambda finding: finding.id):
            self._index(finding)
            if finding.state.told_in:
                self.inside.setdefault(finding.state.told_in, {})[finding.id] = None
        for held in sorted(members, key=lambda held: (held.finding, held.sequence)):
            self._restore_member(held)
        for each in sorted(leaving, key=lambda each: each.sequence):
            self._parted = each.sequence
            self._leaving.setdefault(each.situation, {})[each.member.fingerprint, each.member.occurrence] = each

    def _restore_member(self, held: Held) -> None:
        finding = self.by_id.get(held.finding)
        if finding is None:  # its finding was not saved with it
            return
        if held.past:
            finding.past[held.member.fingerprint, held.member.occurrence] = held
        else:
            finding.members[held.member.fingerprint] = held
            self._holders[held.member.fingerprint] = finding.id


def _member_key(held: Held) -> bytes:
    return _MEMBER + f"{held.finding}\x1f{held.member.occurrence}\x1f{held.member.fingerprint}".encode()


def _leaving_key(leaving: Leaving) -> bytes:
    member = leaving.member
    return _LEAVING + f"{leaving.situation}\x1f{member.occurrence}\x1f{member.fingerprint}".encode()


def _earlier_key(situation: str, fingerprint: str) -> bytes:
    return _EARLIER + f"{situation}\x1f{fingerprint}".encode()
