"""A release over the cable: brought into the idle directory, judged and tried by the device, its outcome read back.

1. What is brought is what the device wishes for. It judges before the first byte and before the switch; a refusal is in its
   words, and the application starts again as it was.
2. After a cut the same command goes on: what is whole on the device is not sent again, what is installed is left.
3. Without a console the outcome cannot be seen, and is not guessed.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lightflash.errors import FlashError, Pending
from lightflash.link import Link, Refused
from lightflash.micropython import MicroPython
from lightflash.offer import Offer
from lightflash.prompt import CONFIG, ROOT, Prompt, prompt
from lightflash.work import Work

_STEP = "update"
_ANNOUNCEMENT = ROOT + "/cable"
Say = Callable[[str, int, int], None]


def bring(port: str, wanted: Offer, job: Work, say: Say, wait_s: float) -> str:
    """The outcome in words. Refused in the device's words; Pending while the trial goes on."""
    with Link(port) as link:
        say("identify", 0, 1)
        present = _present(link)
        is_offline = not present.get("connected", False)
        if present:
            job.meets(present["device"])
        if not _is_there(present, wanted):
            _bring(port, wanted, job, say, is_offline)
        say("trial", 0, 1)
        outcome = _outcome(link, wanted, job, wait_s)
    say("done", 1, 1)
    return outcome


def _present(link: Link) -> Mapping[str, Any]:
    """What the application says of itself; nothing if it does not answer."""
    try:
        key = link.found()
        if key is None:
            return {}
        return {**link.ask("releases"), "device": key["device"], "connected": link.ask("network")["connected"]}
    except FlashError:
        return {}
    finally:
        link.close()


def _is_there(present: Mapping[str, Any], wanted: Offer) -> bool:
    """Whether it runs, on trial or committed."""
    return bool(present) and present["running"] == wanted.manifest.sequence


def _bring(port: str, wanted: Offer, job: Work, say: Say, is_offline: bool) -> None:
    transport = MicroPython(lambda: port)
    if job.device:
        job.begin(wanted.digest.hex())  # from here on it does not measure
    with prompt(transport, _STEP) as at:
        if not job.device:
            job.meets(transport.identify().unique_id or f"at-{port}")
            job.begin(wanted.digest.hex())
        try:
            state = _offered(at, transport, wanted, say, is_offline)
            brought, total = 0, wanted.manifest.total_bytes
            while state["wish"]:
                path, offset, length = state["wish"]
                data = wanted.piece(path, offset, length)
                brought += len(data)
                say("bring", min(brought, total), total)
                state = at.call(f"_c.piece({wanted.manifest.sequence}, {path!r}, {offset}, {data!r})")
        except Refused:
            job.give_up()
            raise
        finally:
            with suppress(FlashError):
                transport.run(f"import os\ntry:\n os.remove({_ANNOUNCEMENT!r})\nexcept OSError:\n pass", 10.0)
        if not state["switched"] and state["trial"] != wanted.manifest.sequence:
            raise FlashError(_STEP, "the device neither wishes for more nor switches", "run the same command again")


def _offered(at: Prompt, transport: MicroPython, wanted: Offer, say: Say, is_offline: bool) -> Mapping[str, Any]:
    """The device's first wish. A release that is on trial already is not offered again."""
    now_ms = time.time_ns() // 1_000_000
    state = at.call(f"(_c := cable.Bringing({CONFIG!r}, _first, {now_ms}, {is_offline!r}, _feed)).state()")
    if state["trial"] == wanted.manifest.sequence:
        return state
    if transport.hashes([_ANNOUNCEMENT]).get(_ANNOUNCEMENT) != hashlib.sha256(wanted.announcement).hexdigest():
        transport.write_file(_ANNOUNCEMENT, wanted.announcement, lambda n, of: say("offer", n, of))
    return at.call(f"_c.offer({_ANNOUNCEMENT!r})")


def _outcome(link: Link, wanted: Offer, job: Work, wait_s: float) -> str:
    sequence = wanted.manifest.sequence

    def is_over(said: Mapping[str, Any]) -> bool:
        return not said["on_trial"] and (said["committed"] >= sequence or said["failed"] >= sequence)

    try:
        said = link.until("releases", is_over, wait_s)
    except Refused:
        raise
    except FlashError as error:
        cause = f"{wanted.text} is on the device, its outcome is not known yet ({error.cause})"
        raise Pending(_STEP, cause, "run the same command again later") from error
    if said["running"] == sequence:
        job.end(wanted.digest.hex())
        return "committed"
    job.give_up()
    raise Refused(
        _STEP, f"the device says: {said['last'] or 'rolled back'}", "correct the release, give it the next sequence"
    )
