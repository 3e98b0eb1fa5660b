"""One test body, four targets: CPython, the MicroPython VM, an emulated Cortex-M3, a real board on a serial port."""
