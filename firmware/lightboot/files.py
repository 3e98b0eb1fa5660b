"""The few things that are done to files, the same on LittleFS and on a host.

What changes a file is on the flash when the function returns; a power cut leaves the old content, the new one, or a part.
"""

import hashlib
import os

_BLOCK = 512
_FOLDER = 0x4000
_DEEPEST = 8


def size(path: str) -> int:
    """Bytes of a file; -1 if there is none (or a folder in its place)."""
    try:
        found = os.stat(path)
    except OSError:
        return -1
    return -1 if found[0] & _FOLDER else found[6]


def read(path: str, most: int) -> bytes:
    """The content; b"" if there is no file or it is longer than `most`."""
    if not 0 <= size(path) <= most:
        return b""
    with open(path, "rb") as file:
        return file.read()


def line(path: str, offset: int) -> bytes:
    """The line that begins at an offset, with its end; b"" behind the last."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.readline()


def blocks(path: str):  # type: ignore[no-untyped-def]
    """The content, block by block."""
    with open(path, "rb") as file:
        block = file.read(_BLOCK)
        while block:
            yield block
            block = file.read(_BLOCK)


def digest(path: str) -> bytes:
    """SHA-256 of what is read back from a file."""
    made = hashlib.sha256()
    for block in blocks(path):
        made.update(block)
    return made.digest()


def write(path: str, data: bytes) -> None:
    """The file has this content and no other."""
    _put(path, "wb", data)


def append(path: str, data: bytes) -> None:
    """The file ends with this."""
    _put(path, "ab", data)


def copy(source: str, path: str):  # type: ignore[no-untyped-def]
    """The file has the content of another; yields between two blocks."""
    with open(path, "wb") as file:
        for block in blocks(source):
            file.write(block)
            yield
        file.flush()


def remove(path: str) -> None:
    """There is no such file, and no such folder if it was empty."""
    try:
        if os.stat(path)[0] & _FOLDER:
            os.rmdir(path)
        else:
            os.remove(path)
    except OSError:
        return


def make_folders(path: str) -> None:
    """Every folder above the file is there. OSError if a file stands in the way."""
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            if not os.stat(path[:at])[0] & _FOLDER:
                raise
        at = path.find("/", at + 1)


def tree(folder: str, below: str = "", depth: int = 0) -> list[str]:
    """Every path below a folder, relative to it, what is inside a folder before the folder, which ends with "/"."""
    found: list[str] = []
    try:
        names = sorted(os.listdir(folder + "/" + below))
    except OSError:
        return found
    for name in names:
        path = below + name
        if os.stat(folder + "/" + path)[0] & _FOLDER:
            if depth < _DEEPEST:
                found += tree(folder, path + "/", depth + 1)
            path += "/"
        found.append(path)
    return found


def _put(path: str, mode: str, data: bytes) -> None:
    with open(path, mode) as file:
        file.write(data)
        file.flush()
