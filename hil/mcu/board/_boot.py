# Runs once at every start, before the REPL: the file system, made on a blank flash, and the rig's files read-only.
import os

import mps2
import vfs

_files = mps2.Partition(160, 128)
try:
    vfs.mount(vfs.VfsLfs2(_files), "/")
except OSError:
    vfs.VfsLfs2.mkfs(_files)
    vfs.mount(vfs.VfsLfs2(_files), "/")
try:
    vfs.mount(vfs.VfsRom(mps2.Partition(288, 1760)), "/rom")
    os.chdir("/rom")
except OSError:
    pass
