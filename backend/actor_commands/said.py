"""What a command of an actor says: a document for the next actor, or words for a reader; a refusal is one line.

Exit codes: 0 done, 1 refused or a finding that stops the reader (with the reason), 2 wrong usage, 3 a file or folder is not
there, 4 not yet.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from backend.errors import BackendError, Unavailable

DONE, REFUSED, UNAVAILABLE = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Said:
    """document: JSON text. notes: diagnosis, for stderr in both forms."""

    document: str
    words: str
    code: int = DONE
    notes: tuple[str, ...] = field(default=())


def say(make: Callable[[], Said], as_json: bool) -> int:
    """Prints what was made, or why it was not; the exit code."""
    try:
        said = make()
    except (BackendError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        if as_json:
            print(json.dumps({"reason": reason}))
        else:
            print(f"lightnode: {reason}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, Unavailable | OSError) else REFUSED
    for note in said.notes:
        print(f"lightnode: {note}", file=sys.stderr)
    print(said.document if as_json else said.words)
    return said.code
