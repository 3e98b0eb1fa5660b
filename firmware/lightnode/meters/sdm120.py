"""Eastron SDM120-Modbus, one phase.

Source: Eastron, SDM120-Modbus Smart Meter Modbus Protocol Implementation V2.4, table of input registers (30001 voltage,
30007 current, 30013 active power, 30025 reactive power, 30071 frequency, 30073 import, 30075 export), float32 in pairs.
"""

PHASES = 1
FUNCTION = 4
LOW_FIRST = False
SIGN = 1
SERIAL = (2400, "N", 1)
STEP = 2
ENERGY_STEP_WH = 1
REQUESTS = ((0, 26, 0, 54), (70, 6, 54, 20))
ABSENT: dict[str, bytes] = {}
QUANTITIES = {
    "voltage_l1": (0, "float32", 0),
    "current_l1": (6, "float32", 0),
    "power": (12, "float32", 0),
    "reactive": (24, "float32", 0),
    "frequency": (70, "float32", 0),
    "import": (72, "float32", 3),
    "export": (74, "float32", 3),
}
