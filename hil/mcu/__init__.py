"""The emulated microcontroller: an MPS2-AN385 (Cortex-M3) with MicroPython, the project's firmware and exact counts."""
