"""Boards that exist only on this computer, for tools that speak to real ones: ESP32 boot loader, UF2 drive, MicroPython."""
