"""What goes wrong in the field, on purpose: links, disks, flash, clocks, services, forgers.

Each fault is a library object and a pytest fixture (hil.plugin_faults). `FaultUnavailable` says why one cannot be had here;
the fixtures skip with that reason. Loss of power at any moment is hil.flash.NorFlash.
"""


class FaultUnavailable(RuntimeError):
    """This computer cannot make this fault; the message says what is missing."""
