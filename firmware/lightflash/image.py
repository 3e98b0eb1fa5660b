"""The LittleFS image of a board's files, as its MicroPython mounts it.

1. The same files and the same board give the same bytes: files enter in the order of their paths, without any time.
2. Block size, cache and look-ahead are those that the board mounts with: what LittleFS keeps inside its metadata has to fit
   the reader's cache.
3. As many directories of the application as the board has slots fit, and a sixteenth of the blocks stays free, for the
   settings and for what LittleFS needs to replace a file.
"""

from collections.abc import Mapping

from littlefs import LittleFS, LittleFSError

from lightflash.board import Board
from lightflash.errors import FlashError

_CYCLES = 100  # as MicroPython: erases before LittleFS moves its metadata
_FREE = 16
_CACHE_READS = 4  # MicroPython's cache is four times what it reads or programs at once


def image(files: Mapping[str, bytes], board: Board) -> bytes:
    """The content of the region "files", as long as it is, erased bytes 0xFF. FlashError if the files do not fit."""
    system = _mounted(board)
    folders: set[str] = set()
    try:
        for path in sorted(files):
            for k, letter in enumerate(path):
                if letter == "/" and path[:k] not in folders:
                    system.mkdir(path[:k])
                    folders.add(path[:k])
            with system.open(path, "wb") as file:
                file.write(files[path])
        used = system.used_block_count
    except LittleFSError as error:
        raise _too_small(board, files) from error
    if used * board.slots + system.block_count // _FREE > system.block_count:
        raise _too_small(board, files)
    system.unmount()
    return bytes(system.context.buffer)


def contents(data: bytes, board: Board) -> dict[str, bytes]:
    """Every file of an image by its path. FlashError if it is none of this board."""
    try:
        system = _mounted(board, data)
        found = {}
        for folder, _folders, names in system.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}".lstrip("/")
                with system.open(path, "rb") as file:
                    found[path] = file.read()
        return found
    except LittleFSError as error:
        raise FlashError("image", f"it holds no files of {board.name} ({error})", "build it again") from error


def _mounted(board: Board, data: bytes = b"") -> LittleFS:
    of = board.littlefs
    system = LittleFS(
        mount=False,
        block_size=board.sector_bytes,
        block_count=board.files.bytes // board.sector_bytes,
        read_size=of.read_bytes,
        prog_size=of.prog_bytes,
        cache_size=min(board.sector_bytes, _CACHE_READS * max(of.read_bytes, of.prog_bytes)),
        lookahead_size=of.lookahead_bytes,
        block_cycles=_CYCLES,
    )
    if data:
        if len(data) != board.files.bytes:
            raise FlashError(
                "image", f"it has {len(data)} bytes, {board.name} has {board.files.bytes}", "build it again"
            )
        system.context.buffer = bytearray(data)
    else:
        system.format()
    system.mount()
    return system


def _too_small(board: Board, files: Mapping[str, bytes]) -> FlashError:
    total = sum(map(len, files.values()))
    cause = f"{total} bytes in {len(files)} files do not fit the {board.files.bytes} bytes of {board.name} {board.slots} times"
    return FlashError("image", cause, "leave files out, or enlarge the region files of the board")
