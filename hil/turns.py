"""Short turns: a slot of the rig is a dozen hand-overs between processes, and on a busy computer each waits for its turn.

Linux 6.12 and later give a process that asks for short slices its turn sooner, and no more of the CPU: on two cores with
fifteen processes that want them a week ran four times as fast.
"""

import ctypes
import os
import platform
import struct
import sys

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SLICE_NS = 100_000
_SIZE, _NORMAL = 48, 0


def short_turns() -> bool:
    """This thread, and what it starts from now on, asks for slices of 0.1 ms; False where that cannot be had."""
    number = _SCHED_SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy, flags, nice, priority, runtime (the slice), deadline, period
    wanted = struct.pack("=IIQiIQQQ", _SIZE, _NORMAL, 0, nice, 0, _SLICE_NS, 0, 0)
    return bool(ctypes.CDLL(None, use_errno=True).syscall(number, 0, wanted, 0) == 0)
