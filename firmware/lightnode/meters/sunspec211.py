"""SunSpec model 211: single phase (A-N or A-B), float32.

Source: SunSpec Alliance, SunSpec Device Information Model Specification and model definition 211. Registers count from the
model's ID. NaN is not implemented. W is positive for withdrawal, as TotWhImp counts.
"""

PHASES = 1
FUNCTION = 3
LOW_FIRST = False
SIGN = 1
SERIAL = (9600, "N", 1)
STEP = 1
SUNSPEC = (211, 124)
ENERGY_STEP_WH = 1
REQUESTS = ((0, 70, 0, 55),)
ABSENT: dict[str, bytes] = {}
QUANTITIES = {
    "current": (2, "float32", 0),
    "voltage_l1": (12, "float32", 0),
    "frequency": (26, "float32", 0),
    "power": (28, "float32", 0),
    "power_l1": (30, "float32", 0),
    "reactive": (44, "float32", 0),
    "export": (60, "float32", 0),
    "import": (68, "float32", 0),
}
