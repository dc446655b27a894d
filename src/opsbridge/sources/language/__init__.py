"""The language of mapping files: how one is read, checked, and made a function (docs/sources.md)."""
