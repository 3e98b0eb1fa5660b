"""What the chip runs for the budgets: the node's own parts over the UART meter, each flow between two counts.

Everything the counts could depend on is fixed: key, time, meter, seed, and the order of all that happens before. A flow is
measured warm, as in a long run; `first` verifications also decompress the key and make its table.
"""

PARTS = """
import gc
gc.threshold(1024)  # as main.py and the application do until the node is made (lightnode.compat.pack_heap)
import asyncio, hashlib, json, mps2
from lightnode import board, clock, compat, journal, keys, modbus, modbus_rtu, recorder, sampler, setpoint, slices, uplink
from lightwire import ecdsa, envelope, records, topics

START, SLOT = 1800000000000, 4000
DEPLOYMENT, OPERATOR, ISSUER = bytes(range(16)), b"operator", b"issuer 1"
LOG, DSO = 0x1111111111111111, 0x2222222222222222

class Source:
    now = 0
    def monotonic_ms(self):
        return self.now
    def agrees(self, utc_ms):
        return True

class Issuer:
    id, role = ISSUER, records.ROLE_DSO
    key = ecdsa.public_key(ecdsa.SECP256K1, DSO)

VALUES = {
    "meter.map": "sdm630", "meter.unit": 7, "meter.ct_ratio": 20, "meter.vt_ratio": 1,
    "deployment": DEPLOYMENT, "operator": OPERATOR, "issuers": [Issuer],
    "log_key": ecdsa.public_key(ecdsa.SECP256K1, LOG),
    "receipt_late_s": 7200, "limits.max_withdrawal_w": 100000, "limits.max_injection_w": 100000,
}

class Config:
    def value(self, key):
        return VALUES[key]

def signer(secret):
    return lambda digest: ecdsa.sign(ecdsa.SECP256K1, secret, digest)

class Node:
    def __init__(self):
        here, config, self.source = board.load(), Config(), Source()
        self.key = keys.DeviceKey(0x1234567890ABCDEF, 1, here.random)
        self.journal = journal.Journal(here.open_flash("journal", 655360), self.key.device, 1, 1)
        self.clock = clock.Clock(self.source, self.journal.floor_ms, here.random)
        self.clock.answer(self.clock.ask(), START)
        self.recorder = recorder.Recorder(self.key, self.journal, DEPLOYMENT)
        device = self.key.device
        self.setpoints = setpoint.SetPoints(self.recorder, self.journal, self.clock, config, device)
        self.uplink = uplink.Uplink(here, config, self.recorder, self.journal, self.clock, self.setpoints, device)
        master = modbus.Master(modbus_rtu.RtuLink(lambda: here.open_serial(METER), 9600, 2), 2000)
        self.sampler = sampler.Sampler(self.recorder, self.clock, master, config, self.journal, lambda reading: None)
        self.slots = self.commands = 0
        compat.pack_heap(False)
        slices.pace()

    async def slot(self):
        self.source.now = SLOT * self.slots
        self.slots += 1
        await self.sampler.slot(self.source.now)

    def delivery(self):
        seq = self.journal.seq
        made = records.Delivery(
            OPERATOR, b"i" * 8, self.key.device, self.journal.boot, seq, self.recorder.digest(seq), START
        )
        return envelope.seal(made, DEPLOYMENT, signer(LOG))

    def set_point(self):
        self.commands += 1
        number = self.commands
        made = records.SetPoint(
            number.to_bytes(16, "big"), self.key.device, ISSUER, records.ROLE_DSO, number, START, START + 900000,
            records.POD_NET, records.MAX_WITHDRAWAL, 5000, 0, records.FALLBACK_RELEASE, 0, 1, bytes(16), bytes(16), bytes(16)
        )
        return envelope.seal(made, DEPLOYMENT, signer(DSO))

    async def receive(self, channel, message):
        await self.uplink._received(topics.topic(self.key.device, channel), message)
"""

COUNTS = (
    PARTS
    + """
async def counted(work):
    gc.collect()
    mps2.start()
    await work
    return mps2.count()

async def main():
    mps2.start()
    node = Node()
    found = {"node_made": mps2.count()}
    digest = hashlib.sha256(b"to be signed").digest()
    node.key.sign(digest)
    gc.collect()
    mps2.start()
    node.key.sign(digest)
    found["signature"] = mps2.count()
    for _ in range(4):
        await node.slot()
    gc.collect()
    readings = [0] * 16
    for k in range(16):
        mps2.start()
        await node.slot()
        readings[k] = mps2.count()
    found["readings"] = readings
    for name in ("acknowledgement_first", "acknowledgement"):
        message = node.delivery()
        found[name] = await counted(node.receive("delivery", message))
        assert node.journal.acked == node.journal.seq
        await node.slot()
    for name in ("set_point_first", "set_point"):
        message = node.set_point()
        found[name] = await counted(node.receive("setpoint", message))
    assert node.setpoints.accepted == 2 and node.sampler.produced == 22 and node.uplink.alarms == 0
    print(json.dumps(found))
asyncio.run(main())
"""
)

LOW_WATER = (
    PARTS
    + """
async def main():
    node = Node()
    for _ in range(4):
        await node.slot()
    gc.collect()
    found = {"heap_free": gc.mem_free(), "heap_total": gc.mem_free() + gc.mem_alloc()}
    gc.threshold(1024)
    mps2.watch(True)
    for _ in range(3):
        await node.slot()
    await node.receive("delivery", node.delivery())
    await node.receive("setpoint", node.set_point())
    await node.slot()
    found["heap_lowest"] = mps2.lowest()
    print(json.dumps(found))
asyncio.run(main())
"""
)

BLOCKS = (
    PARTS
    + """
longest = 0

async def watch():
    # always ready to run: what is between two of its turns is what blocked every other task
    global longest
    while True:
        mps2.start()
        await asyncio.sleep_ms(0)
        longest = max(longest, mps2.count())

async def block(work):
    global longest
    longest = 0
    watching = asyncio.create_task(watch())
    await asyncio.sleep_ms(0)
    await work
    watching.cancel()
    await asyncio.sleep_ms(0)
    return longest

async def main():
    node, found = Node(), {}
    await node.slot()
    found["reading"] = 0
    for _ in range(16):
        found["reading"] = max(found["reading"], await block(node.slot()))
    for name in ("acknowledgement_first", "acknowledgement"):
        message = node.delivery()
        gc.collect()  # what the sender's signature left is not the node's
        found[name] = await block(node.receive("delivery", message))
        await node.slot()
    for name in ("set_point_first", "set_point"):
        message = node.set_point()
        gc.collect()
        found[name] = await block(node.receive("setpoint", message))
    found["statement"] = await block(node.recorder.close_batch())
    found["drain"] = await block(node.recorder.following(3))
    node.recorder = recorder.Recorder(node.key, node.journal, DEPLOYMENT)
    node.journal.closed_seq = 0
    found["rebuild"] = await block(node.recorder.ready())
    print(json.dumps(found))
asyncio.run(main())
"""
)
