"""Schneider Electric Acti9 iEM3155, three phases.

Source: Schneider Electric, iEM3100 / iEM3200 / iEM3300 series user manual, DOCA0005EN, Modbus register list: function 3,
float32 in A, V, kW, kvar, Hz, energies INT64 in Wh. The address on the wire is the register's number minus one.
"""

PHASES = 3
FUNCTION = 3
LOW_FIRST = False
SIGN = 1
SERIAL = (19200, "E", 1)
STEP = 1
ENERGY_STEP_WH = 1
REQUESTS = ((3027, 84, 28, 0), (3203, 8, 0, 16))
ABSENT = {"int64": b"\x80\0\0\0\0\0\0\0"}
QUANTITIES = {
    "voltage_l1": (3027, "float32", 0),
    "voltage_l2": (3029, "float32", 0),
    "voltage_l3": (3031, "float32", 0),
    "power_l1": (3053, "float32", 3),
    "power_l2": (3055, "float32", 3),
    "power_l3": (3057, "float32", 3),
    "power": (3059, "float32", 3),
    "reactive": (3067, "float32", 3),
    "frequency": (3109, "float32", 0),
    "import": (3203, "int64", 0),
    "export": (3207, "int64", 0),
}
