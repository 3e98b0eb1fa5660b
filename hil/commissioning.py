"""The back end of a bench as a commissioning asks it: in the same process, through its own store and flows."""

from collections.abc import Sequence

from lightflash.back_end import Answers, Registered
from lightwire import envelope, records

from hil.bench import Bench


class BenchBackEnd:
    """lightflash's BackEnd; limit_w: the maximum withdrawal in the devices' settings."""

    def __init__(self, bench: Bench, limit_w: int) -> None:
        self._bench = bench
        self._limit_w = limit_w
        self.deployment: bytes = bench.identity.deployment

    def registered(self, device: bytes) -> Registered | None:
        """As the register has it now."""
        parties = self._bench.backend.store.parties()
        mine = [party for party in parties if party.id == device]
        if not mine:
            return None
        newest = max(mine, key=lambda party: party.generation)
        entry = envelope.peek(newest.entry)
        agents = tuple(party.public for party in parties if (party.role, party.pod) == ("agent", newest.pod))
        return Registered(newest.public, newest.generation, entry.tls_fingerprint, agents)

    def readings(self, device: bytes, after_seq: int) -> Sequence[bytes]:
        """As stored."""
        kept = self._bench.backend.store.of_kind(device, records.READING)
        return [message.sealed for message in kept if message.seq > after_seq]

    def send_test(self, device: bytes, command: int) -> bytes:
        """By the back end's own flow, which numbers it."""
        parties = self._bench.backend.store.parties()
        pod = next(party.pod for party in parties if party.id == device)
        return self._bench.backend.activate.send_test(device, pod, self._limit_w, self._bench.conductor.now_ms)

    def answers(self, device: bytes, setpoint: bytes) -> Answers:
        """As stored: of an edge agent, else of an energy manager that reads the device's registers."""
        store = self._bench.backend.store
        row = next(row for row in store.setpoints() if row.id == setpoint)
        reports = [kept.sealed for kept in store.of_kind(device, records.EMS_REPORT)]
        mine = [sealed for sealed in reports if envelope.peek(sealed).setpoint == setpoint]
        return Answers(row.decision, row.execution or (mine[0] if mine else b""))
