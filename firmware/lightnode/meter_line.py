"""The lines that the settings name: the meter's master, on a serial port of the board or over TCP; the EMS's serial line."""

from . import meters
from .modbus import TIMEOUT_MS, Master

_TCP = "tcp:"


def serial_port(port: str) -> str:
    """The path of a serial port; "" if the meter is on TCP."""
    return "" if port.startswith(_TCP) else port


def open_master(board, value, timeout_ms: int = TIMEOUT_MS, patience: int = 1) -> Master:  # type: ignore[no-untyped-def]
    """value(key): a setting. What the settings leave out of the serial line is the map's. Opens nothing yet."""
    port, layout = value("meter.port"), meters.layout(value("meter.map"))
    path = serial_port(port)
    if path:
        from .modbus_rtu import RtuLink

        baud, parity, stop_bits = layout.SERIAL
        line = value("meter.baud") or baud, value("meter.parity") or parity, value("meter.stop_bits") or stop_bits
        pins = _pins(value, "meter.")
        return Master(
            RtuLink(lambda: board.open_serial(path, *line, **pins), line[0], layout.STEP), timeout_ms, patience
        )
    from .modbus_tcp import TcpLink

    host, number = port[len(_TCP) :].rsplit(":", 1)
    return Master(TcpLink(lambda: board.open_tcp(host, int(number))), timeout_ms, patience)


def open_ems_line(board, value):  # type: ignore[no-untyped-def]
    """(reader, writer) of the line of the energy manager; OSError if it cannot be had."""
    line = value("ems.baud"), value("ems.parity"), value("ems.stop_bits")
    return board.open_serial(value("ems.serial"), *line, **_pins(value, "ems."))


def _pins(value, table: str) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """The pins of a line that the settings name; a board has its own for the others."""
    found = {name: value(table + name) for name in ("tx_pin", "rx_pin", "de_pin")}
    return {name: pin for name, pin in found.items() if pin is not None}
