"""A file from outside as bytes: never more of it than a file of evidence may have."""

from pathlib import Path

from backend.errors import Rejected
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.sheet import MAX_FILE_BYTES


def read_bounded(path: Path) -> bytes:
    """What a file holds; NotValid for one that is too large, which is not read to its end. OSError if it cannot be read."""
    data, size = b"", path.stat().st_size
    if size <= MAX_FILE_BYTES:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
            size = len(data)
    if size > MAX_FILE_BYTES:
        raise NotValid("file", f"has {size} bytes or more, a bundle has at most {MAX_FILE_BYTES}")
    return data


def read_text(path: Path) -> str:
    """The same as text; Rejected if it is none, or too large."""
    try:
        return read_bounded(path).decode()
    except NotValid as error:
        raise Rejected(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise Rejected(f"{path}: not text: {error.reason}") from error
