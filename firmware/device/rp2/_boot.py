"""The start of an RP2 board, frozen into its image in place of the port's own: the file system in front of the journal.

1. The first FILES_BYTES of the flash's storage are LittleFS's, room for two applications; the rest is the journal's.
2. A flash is formatted only where its first sector is blank. The port's own start formats on any error, and with it the
   key of the device would go.
"""

import rp2
import vfs

FILES_BYTES = 966_656
_SECTOR = 4096


def mount() -> None:
    """The file system at "/"; OSError, and a REPL without it, if it is damaged."""
    flash = rp2.Flash(start=0, len=FILES_BYTES)
    first = bytearray(_SECTOR)
    flash.readblocks(0, first)
    if first == b"\xff" * _SECTOR:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")  # type: ignore[abstract]


mount()
