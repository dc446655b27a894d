"""A case as rules about situations are asked of it, with as little said as can be."""

from opsbridge.core.case import Case
from opsbridge.core.decisions import Impact, Root, Situation
from opsbridge.core.graph import CI


def case(
    root: CI | None = None,
    *,
    severity: int = 2,
    status: str = "open",
    class_: str | None = None,
    confidence: float = 1.0,
    firing: int = 1,
    alerts: int = 5,
    impact: Impact = Impact(1, 0, ()),  # noqa: B008 - frozen
    reopened: int = 0,
    opened_ms: int = 0,
    **known: object,
) -> Case:
    """A printer's situation; `known` is what else the case has: priority, known_errors, changes."""
    root = CI("prn-1", type="printer") if root is None else root
    situation = Situation(
        id="S-0123456789abcdef",
        version=1,
        status=status,  # type: ignore[arg-type]  # one of the statuses
        severity=severity,
        root=Root(root.id, class_, silent=class_ is None, confidence=confidence),
        candidates=(),
        firing=firing,
        alerts=alerts,
        impact=impact,
        opened_ms=opened_ms,
        updated_ms=opened_ms,
        resolved_ms=None,
        merged_into=None,
        because=(),
        reopened=reopened,
    )
    return Case(situation=situation, root=root, **known)  # type: ignore[arg-type]  # see above
