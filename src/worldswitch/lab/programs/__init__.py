"""Guest programs that the laboratory itself runs, as assembly source."""

from importlib.resources import files


def source(name: str) -> str:
    """The text of a program; it is part of the package."""
    return (files(__name__) / f"{name}.s").read_text(encoding="ascii")
