"""Carlo Gavazzi EM340, three phases.

Source: Carlo Gavazzi, EM300 Series and ET300 Series Communication Protocol, version 2 revision 17 (2021-07-05), table
2.4-1: INT32 with the low register first, V*10, A*1000, W*10, var*10, Hz*10, kWh*10; at most 50 registers in a request;
7FFFFFFFh is overflow. The second request begins at V L-N sys: it says whether its registers can be believed.
"""

PHASES = 3
FUNCTION = 4
LOW_FIRST = True
SIGN = 1
SERIAL = (9600, "N", 1)
STEP = 1
ENERGY_STEP_WH = 100
REQUESTS = ((0x00, 18, 0, 32), (0x24, 44, 0, 6))
ABSENT = {"int32": b"\x7f\xff\xff\xff", "int16": b"\x7f\xff"}
QUANTITIES = {
    "voltage_l1": (0x00, "int32", -1),
    "voltage_l2": (0x02, "int32", -1),
    "voltage_l3": (0x04, "int32", -1),
    "current_l1": (0x0C, "int32", -3),
    "current_l2": (0x0E, "int32", -3),
    "current_l3": (0x10, "int32", -3),
    "voltage_mean": (0x24, "int32", -1),
    "power": (0x28, "int32", -1),
    "reactive": (0x2C, "int32", -1),
    "frequency": (0x33, "int16", -1),
    "import": (0x34, "int32", 2),
    "export": (0x4E, "int32", 2),
}
