"""The numbers of the wire: kinds, flags, causes, trees, roles and other closed choices. FORMAT.md is normative."""

VERSION = 1

READING = 1
STATEMENT = 2
GAP = 3
CLOCK_LINK = 4
TIME_ANSWER = 5
SET_POINT = 6
DECISION = 7
EXECUTION = 8
DELIVERY = 9
CHECKPOINT = 10
ENROLMENT = 11
REGISTRY_ENTRY = 12
EVIDENCE = 13
TOMBSTONE = 14
DIAGNOSTICS = 15
UPDATE_REPORT = 16
MANIFEST = 17
EMS_REPORT = 18

# flags of a reading
UNTRUSTED_CLOCK = 1  # time_ms is this boot's monotonic time, not UTC
LATE = 2  # the meter was read more than 100 ms after the slot mark
FIRST_OF_BOOT = 4
HOLDOVER = 8  # trusted time is older than its error bound allows
REGISTER_RESET = 16
TAMPER = 32
RETRIED = 64  # the meter answered truly only after a failed try in this slot
SUSPECT = 128  # a true frame whose values cannot be right, or of a meter in doubt: it is to be looked at

# causes of a gap, one bit each, so that a statement can name several
CAUSE_POWER = 1
CAUSE_METER = 2
CAUSE_OVERRUN = 4  # the journal was full, the named records were dropped
CAUSE_CLOCK = 8

# evidence trees, one of each kind per operator
TREE_READINGS = 1
TREE_SETPOINTS = 2
TREE_MARKET = 3
TREE_SETTLEMENT = 4
TREE_KEYS = 5

# where a device keeps its keys, as it says itself when it introduces one
LEVEL_FILE = 1  # files, which whoever has the device in his hands can copy
LEVEL_ENCRYPTED = 2  # encrypted flash behind a verified start
LEVEL_ELEMENT = 3  # a secure element that signs and gives no key away

# role of the issuer of a set-point
ROLE_DSO = 1
ROLE_TSO = 2
ROLE_AGGREGATOR = 3

# what a set-point controls
TARGET = 1
MAX_WITHDRAWAL = 2
MAX_INJECTION = 3
REACTIVE_TARGET = 4
POD_NET = 0

# what to do when a set-point expires or the link is lost
FALLBACK_HOLD = 1
FALLBACK_RELEASE = 2
FALLBACK_VALUE = 3

# outcome of a decision
ACCEPTED = 1
REFUSED = 2

# state of an execution
APPLIED = 1
SUPERSEDED = 2
EXPIRED = 3
FAILED = 4

# why a device started
RESET_POWER = 1
RESET_WATCHDOG = 2
RESET_FAILURE = 3
RESET_UPDATE = 4
RESET_COMMAND = 5
RESET_UNKNOWN = 6

# tasks of a device, as the fault that ended the last start or restarted a task; 0 is none
TASK_SAMPLER = 1
TASK_UPLINK = 2
TASK_EMS = 3
TASK_UPDATE = 4
TASK_CONSOLE = 5

# outcome of an update
UPDATE_COMMITTED = 1
UPDATE_ROLLED_BACK = 2
UPDATE_REFUSED = 3

# what an energy manager did not say: charge of its store, a power
CHARGE_UNKNOWN = 0xFFFF
POWER_UNKNOWN = -0x80000000

# action of a registry entry
APPROVE = 1
ROTATE = 2
REVOKE = 3

# signature algorithms as fields (COSE numbers are negative)
ES256K = 1
ES256 = 2
