"""Reading the files operators write (topology, rules): parse fast, and when something is wrong say exactly where.

`read` finds and parses files, `findings` is what is said about them, `wording` turns validation errors into an
operator's words. What a file means is decided by the rooms that read it, not here.
"""

from opsbridge.documents.findings import Document, DocumentError, Fault, Finding, Level, Spot
from opsbridge.documents.read import place, read_documents
from opsbridge.documents.wording import Nearest, dotted, from_validation, shown

__all__ = [
    "Document",
    "DocumentError",
    "Fault",
    "Finding",
    "Level",
    "Nearest",
    "Spot",
    "dotted",
    "from_validation",
    "place",
    "read_documents",
    "shown",
]
