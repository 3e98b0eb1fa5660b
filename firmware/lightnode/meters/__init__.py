"""Register maps, one file per meter: literals only, the document they are taken from in the docstring, which costs a board
nothing. "Add a meter" in firmware/README.md says what a map holds. Only the map that is used is imported.
"""

import os

from ..errors import MeterError

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


def layout(name: str):  # type: ignore[no-untyped-def]
    """The map of this name; MeterError with the known ones if there is none."""
    if name[:1] not in ("", "_") and all([c in _LETTERS for c in name]):
        try:
            return __import__("lightnode.meters." + name, None, None, ("REQUESTS",))
        except ImportError:
            pass
    raise MeterError("known maps are " + (", ".join(names()) or "those of firmware/README.md"))


def names() -> list[str]:
    """The maps there are, in order; empty if they are frozen into the firmware, where nothing can be listed."""
    path = __path__
    try:
        files = os.listdir(path if isinstance(path, str) else path[0])
    except OSError:
        return []
    stems = {file.split(".")[0] for file in files if file[:1] != "_"}
    return sorted(stems)
