"""Takes the BRPs' profiles (I-03) of a session until they freeze, and says which stand. Every answer is an event first.

1. Profiles are taken from the announcement of a session until the freeze: the gate, or as long before it as the session's
   rules say. The order of steps and what is kept are those of the session's other events (flows/trade.py).
2. The rows of a submission are answered in one commit or none.
"""

import json

from backend.errors import Rejected
from backend.flows.trade import Sessions
from backend.market.profile import STANDS, Baselines, Profile, ProfileAnswer, Standing, answer
from backend.market.register import Register
from backend.market.session import MarketSession, State
from backend.ports import Clock, MarketEvent, SessionStore

PROFILE = "profile"


class Profiles:
    """The profiles of a market's sessions in a store."""

    def __init__(self, store: SessionStore, clock: Clock, sessions: Sessions, register: Register | None) -> None:
        """register: None where nobody says whose each POD is (rule 2 of market.profile)."""
        self._store = store
        self._clock = clock
        self._sessions = sessions
        self._register = register

    def submit(
        self, session: str, brp: str, profiles: list[Profile], wrong: list[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Answers each profile and each row that was none, as (POD, answer)."""
        if not brp.strip():
            raise Rejected("BRP: expected its name")
        answers = []
        with self._store.writing():
            one, now_ms = self._sessions.load(session), self._clock.now_ms()
            standing = {row.pod: row for row in self._standing(session)}
            for profile in profiles:
                said = self._answered(one, profile, brp, standing.get(profile.pod), now_ms)
                self._add(session, brp, profile, said, now_ms)
                answers.append((profile.pod, said.value))
            for pod, why in wrong:
                self._add(session, brp, Profile(pod, {}), ProfileAnswer.MALFORMED, now_ms)
                answers.append((pod, f"{ProfileAnswer.MALFORMED}: {why}"))
        return answers

    def baselines(self, session: str) -> Baselines:
        """What stands in a session."""
        one = self._sessions.load(session)
        freeze_ms = one.gate_ms - one.rules.baseline_lead_ms
        frozen = self._clock.now_ms() >= freeze_ms or one.state not in (State.ANNOUNCED, State.OPEN)
        return Baselines(session, freeze_ms, frozen, tuple(self._standing(session)))

    def _answered(
        self, one: MarketSession, profile: Profile, brp: str, before: Standing | None, now_ms: int
    ) -> ProfileAnswer:
        if one.state not in (State.ANNOUNCED, State.OPEN):
            return ProfileAnswer.FROZEN if one.state is not State.CANCELLED else ProfileAnswer.NOT_OPEN
        if now_ms >= one.gate_ms - one.rules.baseline_lead_ms:
            return ProfileAnswer.FROZEN
        said = answer(profile, one.frames, self._whose(profile.pod, one, before), brp)
        return ProfileAnswer.AMENDED if said is ProfileAnswer.TAKEN and before is not None else said

    def _whose(self, pod: str, one: MarketSession, before: Standing | None) -> str | None:
        """The POD's BRP, "" if it has none yet, None if nobody knows the POD."""
        if self._register is not None:
            held = [row for frame in one.frames if (row := self._register.of(pod, frame)) is not None]
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
