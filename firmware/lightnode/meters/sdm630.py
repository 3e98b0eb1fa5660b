"""Eastron SDM630-Modbus V2, three phases.

Source: Eastron, SDM630-Modbus V2 Modbus Protocol Implementation, table of input registers (parameters 1 to 38), float32 in
pairs, at most 40 parameters in a request. kWh registers step 1 Wh, above 65,536 kWh 7.8 Wh (float32).
"""

PHASES = 3
FUNCTION = 4
LOW_FIRST = False
SIGN = 1
SERIAL = (9600, "N", 1)
STEP = 2
ENERGY_STEP_WH = 1
REQUESTS = ((0, 6, 0, 74), (48, 28, 48, 4))
ABSENT: dict[str, bytes] = {}
QUANTITIES = {
    "voltage_l1": (0, "float32", 0),
    "voltage_l2": (2, "float32", 0),
    "voltage_l3": (4, "float32", 0),
    "current": (48, "float32", 0),
    "power": (52, "float32", 0),
    "reactive": (60, "float32", 0),
    "frequency": (70, "float32", 0),
    "import": (72, "float32", 3),
    "export": (74, "float32", 3),
}
