"""What the technician's console changes: the next key, the release before. Loaded when it is first asked for.

1. Each command can be repeated: one whose answer was lost on the way gives it again and does nothing twice.
2. `rotate NONCE` makes the next key generation and answers with its statement. While the back end has signed for nothing
   that was made under the present generation, it introduces that one again: no generation is ever skipped, since the
   register takes them in their order only. The new key signs from the next start on.
3. `rollback SEQUENCE` lets the release of this sequence run that lies in the other directory, if every file of it is as it
   was released and the floor allows it; a release on trial is given up so, too. The device starts again by itself; what
   ran until then is not taken as an update again, and a signed report says so.
4. `pause` measures nothing for ten minutes, so that everything can reach the back end and be signed for. What was not
   measured is a named gap.
"""

from lightboot import chooser, files
from lightboot import state as states
from lightwire import envelope, records, update

from . import keys
from .errors import NodeError
from .slices import sliced

_NONCE_DIGITS = 32
_PAUSE_MS = 600_000


class Service:
    """Answers of the console that change something; `commands` as the console takes them."""

    def __init__(self, config, board, key, journal, clock, updates, sampler) -> None:  # type: ignore[no-untyped-def]
        value = config.value
        self._folder = value("state_dir")
        self._tls_key = value("broker.key")
        self._deployment = value("deployment")
        self._board = board
        self._key = key
        self._journal = journal
        self._clock = clock
        self._updates = updates
        self._sampler = sampler

    async def rotate(self, nonce: str) -> dict[str, object]:
        """Rule 2. `made`: whether this call made the key; `running`: the generation that signs until the next start."""
        if len(nonce) != _NONCE_DIGITS or nonce.strip("0123456789abcdef"):
            raise NodeError("a nonce has 32 hexadecimal digits")
        key = keys.open_key(self._folder, self._board.random)
        made = not key.older or self._is_settled(key.generation)
        if made:
            key = keys.rotate(self._folder, self._board.random)
        enrolment, signer = keys.introduce(
            key, keys.tls_fingerprint(self._tls_key), bytes.fromhex(nonce), self._clock.monotonic_ms()
        )
        payload = records.encode(enrolment)
        signature = await sliced(signer.signing(envelope.digest(payload, self._deployment, signer.algorithm)))
        return {
            "device": key.device.hex(),
            "deployment": self._deployment.hex(),
            "generation": key.generation,
            "running": self._key.generation,
            "made": made,
            "public_key": key.public.hex(),
            "signed_by": signer.public.hex(),
            "enrolment": envelope.wrap(payload, signature, signer.algorithm).hex(),
        }

    def _is_settled(self, generation: int) -> bool:
        """Whether the back end has signed for what was made under this generation."""
        record = self._journal.find(self._journal.acked)
        return record is not None and record.generation == generation

    async def pause(self) -> dict[str, object]:
        """Rule 4."""
        self._sampler.paused_ms = self._clock.monotonic_ms() + _PAUSE_MS
        return {"pending": self._journal.seq - self._journal.acked, "paused_s": _PAUSE_MS // 1000}

    async def rollback(self, sequence: str) -> dict[str, object]:
        """Rule 3. `restarts`: False if it runs already."""
        wanted = int(sequence) if sequence and not sequence.strip("0123456789") else -1
        state, running = self._updates.state, self._updates.running
        if not running:
            raise NodeError("the application does not run from a directory, there is none before it")
        present = _manifest(self._updates.root, running)
        if present is None:
            raise NodeError("the release that runs has lost its file: write it again")
        if present.sequence == wanted:
            return {"sequence": wanted, "restarts": self._updates.restart}
        self._check(state, 3 - running, wanted)
        if state.trial == running:
            states.roll_back(state, update.NONE)
        else:
            state.outcome, state.reason = states.ROLLED_BACK, update.NONE
            state.report_sequence, state.report_version = present.sequence, present.version
            state.report_digest = envelope.payload_digest(records.encode(present))
            state.failed = max(state.failed, present.sequence)
            state.active = 3 - running
        states.write(self._updates.root, state)
        self._updates.restart = True
        return {"sequence": wanted, "restarts": True}

    def _check(self, state, other: int, wanted: int) -> None:  # type: ignore[no-untyped-def]
        """NodeError with the reason if the release in the other directory may not run, or is not the one that is wanted."""
        root = self._updates.root
        manifest = _manifest(root, other) if any(state.release(other)) else None
        if self._updates.restart or (state.trial and state.trial != self._updates.running):
            raise NodeError("another release is to be started already")
        if manifest is None:
            raise NodeError("no release before this one is held")
        if manifest.sequence != wanted:
            raise NodeError(f"the release before this one is {manifest.sequence}")
        if manifest.sequence < state.floor:
            raise NodeError(f"sequence {manifest.sequence} is below the floor {state.floor}")
        said: list[str] = []
        if not chooser.is_whole(root, other, state.release(other), said.append):
            raise NodeError(said[-1])


def _manifest(root: str, slot: int):  # type: ignore[no-untyped-def]
    """Of the release file of a slot, None if there is none."""
    release = files.read(chooser.release_path(root, slot), chooser.RELEASE_MAX)
    return update.manifest_of(release[: update.SEALED_BYTES]) if release else None


def releases(updates) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """What lies in the directories: sequences, 0 for none. `committed`: the highest that passed its trial; `failed`: the
    highest that was given up; `last`: the last outcome that was reported since the start, in words."""
    state, running = updates.state, updates.running
    told: dict[str, object] = {"committed": state.sequence, "floor": state.floor, "failed": state.failed}
    told["on_trial"] = updates.is_on_trial
    told["last"] = updates.last
    for name, slot in (("running", running), ("other", 3 - running if running else 0)):
        manifest = _manifest(updates.root, slot) if slot and any(state.release(slot)) else None
        told[name] = 0 if manifest is None else manifest.sequence
    return told
