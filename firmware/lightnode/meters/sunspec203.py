"""SunSpec model 203: wye-connected three phases, whole numbers with scale factors.

Source: SunSpec Alliance, SunSpec Device Information Model Specification and model definition 203. Registers count from the
model's ID, also those of the scale factors (SCALES). 8000h is not implemented. W is positive for withdrawal, as
TotWhImp counts; an energy that is not accumulated reads 0.
"""

PHASES = 3
FUNCTION = 3
LOW_FIRST = False
SIGN = 1
SERIAL = (9600, "N", 1)
STEP = 1
SUNSPEC = (203, 105)
ENERGY_STEP_WH = 1
REQUESTS = ((0, 55, 0, 52),)
ABSENT = {"int16": b"\x80\0"}
SCALES = {"current": 6, "voltage": 15, "frequency": 17, "power": 22, "reactive": 32, "import": 54, "export": 54}
QUANTITIES = {
    "current": (2, "int16", 0),
    "voltage_l1": (8, "int16", 0),
    "voltage_l2": (9, "int16", 0),
    "voltage_l3": (10, "int16", 0),
    "frequency": (16, "int16", 0),
    "power": (18, "int16", 0),
    "power_l1": (19, "int16", 0),
    "power_l2": (20, "int16", 0),
    "power_l3": (21, "int16", 0),
    "reactive": (28, "int16", 0),
    "export": (38, "uint32", 0),
    "import": (46, "uint32", 0),
}
