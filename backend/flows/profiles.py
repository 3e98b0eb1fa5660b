"""Takes the BRPs' profiles (I-03) of a session until they freeze, and says which stand. Every answer is an event first.

1. Profiles are taken from the announcement of a session until the freeze: the gate, or as long before it as the session's
   rules say. The order of steps and what is kept are those of the session's other events (flows/trade.py).
2. The rows of a submission are answered in one commit or none.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from backend.errors import Rejected
from backend.flows.trade import window_of
from backend.market.profile import STANDS, Baselines, Profile, ProfileAnswer, Standing, answer
from backend.market.register import Register
from backend.market.session import State
from backend.ports import Clock, MarketEvent, SessionStore

PROFILE = "profile"
_TAKES = (State.ANNOUNCED, State.OPEN)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a session stands, as far as profiles go."""

    frames: tuple[int, ...]
    freeze_ms: int
    state: State


class Profiles:
    """The profiles of a market's sessions in a store."""

    def __init__(self, store: SessionStore, clock: Clock, register: Register | None) -> None:
        """register: None where nobody says whose each POD is (rule 2 of market.profile)."""
        self._store = store
        self._clock = clock
        self._register = register

    def submit(
        self, session: str, brp: str, profiles: list[Profile], wrong: list[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Answers each profile and each row that was none, as (POD, answer)."""
        answers = []
        with self._store.writing():
            place, now_ms = self._place(session), self._clock.now_ms()
            standing = {row.pod: row for row in self._standing(session)}
            for profile in profiles:
                said = self._answered(place, profile, brp, standing.get(profile.pod), now_ms)
                self._add(session, brp, profile, said, now_ms)
                answers.append((profile.pod, said.value))
            for pod, why in wrong:
                self._add(session, brp, Profile(pod, {}), ProfileAnswer.MALFORMED, now_ms)
                answers.append((pod, f"{ProfileAnswer.MALFORMED}: {why}"))
        return answers

    def baselines(self, session: str) -> Baselines:
        """What stands in a session."""
        place = self._place(session)
        frozen = place.state not in _TAKES or self._clock.now_ms() >= place.freeze_ms
        return Baselines(session, place.freeze_ms, frozen, tuple(self._standing(session)))

    def _place(self, session: str) -> _Place:
        """Rejected if the session was never announced."""
        events = self._store.events(session)
        if not events:
            raise Rejected(f"session {session}: was never announced")
        window, rules = window_of(events[0].body)
        moves = [State(event.body) for event in events if event.what == "moved"]
        state = moves[-1] if moves else State.ANNOUNCED
        return _Place(window.frames, window.gate_ms - rules.baseline_lead_ms, state)

    def _answered(
        self, place: _Place, profile: Profile, brp: str, before: Standing | None, now_ms: int
    ) -> ProfileAnswer:
        if place.state is State.CANCELLED:
            return ProfileAnswer.NOT_OPEN
        if place.state not in _TAKES or now_ms >= place.freeze_ms:
            return ProfileAnswer.FROZEN
        said = answer(profile, place.frames, self._whose(profile.pod, place.frames, before), brp)
        return ProfileAnswer.AMENDED if said is ProfileAnswer.TAKEN and before is not None else said

    def _whose(self, pod: str, frames: Sequence[int], before: Standing | None) -> str | None:
        """The POD's BRP, "" if it has none yet, None if nobody knows the POD."""
        if self._register is not None:
            held = [row for frame in frames if (row := self._register.of(pod, frame)) is not None]
            if not held:
                return None
            if held[0].brp:
                return held[0].brp
        return "" if before is None else before.brp

    def _standing(self, session: str) -> list[Standing]:
        """By POD, the last that was taken."""
        found: dict[str, Standing] = {}
        for event in self._store.events(session):
            if event.what != PROFILE:
                continue
            body = json.loads(event.body)
            if ProfileAnswer[body["answer"]] in STANDS:
                version = found[body["pod"]].version + 1 if body["pod"] in found else 1
                table = {int(frame): w for frame, w in body["frames"].items()}
                found[body["pod"]] = Standing(body["pod"], event.party, version, event.time_ms, table)
        return [found[pod] for pod in sorted(found)]

    def _add(self, session: str, brp: str, profile: Profile, said: ProfileAnswer, now_ms: int) -> None:
        table = {str(frame): w for frame, w in sorted(profile.frame_w.items())}
        body = json.dumps({"answer": said.name, "frames": table, "pod": profile.pod}, separators=(",", ":"))
        self._store.add_event(MarketEvent(session, now_ms, brp, PROFILE, body))
