"""The error of the typed subset: where in the source, and what to write instead."""


class SubsetError(Exception):
    """A typed function goes beyond the subset. Line and column count from 1, as editors do."""

    def __init__(self, message: str, filename: str, line: int, column: int, source: str) -> None:
        caret = " " * (column - 1) + "^"
        super().__init__(f"{filename}:{line}:{column}: {message}\n    {source}\n    {caret}")
        self.message = message
        self.filename = filename
        self.line = line
        self.column = column
        self.source = source

    def __reduce__(self) -> tuple[type["SubsetError"], tuple[str, str, int, int, str]]:
        """Errors come back from the processes that compile."""
        fields = (self.message, self.filename, self.line, self.column, self.source)
        return SubsetError, fields
