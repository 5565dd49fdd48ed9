"""Who may give orders: one password, kept as its scrypt hash; sessions that expire; tries that are counted."""

import hashlib
import hmac
import json
import os
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from pathlib import Path

FILE = "board.json"
SCHEMA_VERSION = 1
# RFC 7914, and OWASP's password storage sheet: N = 2^14, r = 8, p = 5 is its least for 16 MB
COST = {"n": 2**14, "r": 8, "p": 5}
LONGEST_S, IDLE_S = 12 * 3600.0, 1800.0  # of wall time: a session ends then, whatever is done; or unused for so long
NOTED, NOTED_WITHIN_S = 20, 3600.0  # wrong tries of one address in the audit log: who tries on fills no disk
TRIES, TRIES_WITHIN_S = 5, 60.0  # from one address; from all together, ten times as many
MOST_ADDRESSES, MOST_SESSIONS = 1000, 200
LONGEST_PASSWORD, LONGEST_NAME = 200, 40


def new_password() -> str:
    """Random, easy to read out: 80 bits in four groups of letters and digits without look-alikes."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def reset(home: Path) -> str:
    """Make a new password and keep its hash in place of the old one, for the owner's eyes only. Raises OSError."""
    password, salt = new_password(), secrets.token_bytes(16)
    told = {"schema_version": SCHEMA_VERSION, "salt": salt.hex(), "hash": _hashed(password, salt).hex(), **COST}
    draft = home / f"{FILE}.{os.getpid()}.part"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(home / FILE)
    return password


def first(home: Path) -> str | None:
    """A password made now, where there is none yet. Raises OSError."""
    return None if (home / FILE).exists() else reset(home)


def matches(home: Path, password: str) -> bool:
    """Whether it is the password; False where none is kept or the file is not one of ours."""
    try:
        told = json.loads((home / FILE).read_bytes())
        salt, known = bytes.fromhex(told["salt"]), bytes.fromhex(told["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return hmac.compare_digest(_hashed(password[:LONGEST_PASSWORD], salt), known)


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, maxmem=2**26, **COST)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in."""

    name: str
    address: str
    began_s: float  # wall time; so below
    used_s: float
    stamp: tuple[int, int] | None  # of the password's file then: a new password ends all sessions


class Sessions:
    """In memory only: a page that is started anew has none. Tokens themselves are not kept."""

    def __init__(self, home: Path) -> None:
        self._file = home / FILE
        self._held: OrderedDict[str, Session] = OrderedDict()

    def begin(self, name: str, address: str, now_s: float, stamp: tuple[int, int] | None) -> str:
        """A new session's token; `stamp`: from before the password was looked at, which may be another by now."""
        token = secrets.token_urlsafe(32)
        self._held[_digest(token)] = Session(name, address, now_s, now_s, stamp)
        while len(self._held) > MOST_SESSIONS:
            self._held.popitem(last=False)
        return token

    def of(self, token: str, now_s: float, *, uses: bool = False) -> Session | None:
        """The session, while it lasts; `uses`: it is used by this, and not just looked at."""
        key = _digest(token)
        session = self._held.get(key)
        if session is None:
            return None
        over = now_s - session.began_s > LONGEST_S or now_s - session.used_s > IDLE_S
        if over or session.stamp != self.stamp():
            del self._held[key]
            return None
        if uses:
            self._held[key] = replace(session, used_s=now_s)
        return session

    def end(self, token: str) -> None:
        """Log out."""
        self._held.pop(_digest(token), None)

    def stamp(self) -> tuple[int, int] | None:
        """Tells the password that is kept from every other; None: there is none."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Tries:
    """Counts what comes from addresses, as tries to log in, right or wrong: so many from one, ten times as many from
    all together."""

    def __init__(self, most: int = TRIES, within_s: float = TRIES_WITHIN_S) -> None:
        self._most, self._within_s = most, within_s
        self._of: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Count a try; how long to wait instead, 0: it may be made."""
        waits_s = max(self._wait_s(address, self._most, now_s), self._wait_s("", 10 * self._most, now_s))
        if waits_s > 0.0:
            return waits_s
        for key in (address, ""):
            self._of.setdefault(key, deque()).append(now_s)
            self._of.move_to_end(key)
        while len(self._of) > MOST_ADDRESSES:
            self._of.popitem(last=False)
        return 0.0

    def _wait_s(self, key: str, most: int, now_s: float) -> float:
        made = self._of.get(key, deque())
        while made and now_s - made[0] > self._within_s:
            made.popleft()
        return made[0] + self._within_s - now_s if len(made) >= most else 0.0
