"""What leaves the site in a support file: no password, token, user, mail or address, but the same structure.

Site files are written anew from what they say, so that nothing hides in a comment. Equal addresses get equal
stand-ins (names in `.invalid`, RFC 2606), so that who shares a line can still be seen.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from math import isinf, isnan
from typing import Any
from urllib.parse import unquote

SECRET_KEYS = re.compile(
    r"(?i)(^|_)(pass|password|passwd|passphrase|secret|token|credential|credentials|key|apikey|user|username|login|"
    r"webhook|sign|signature|pin|mail|email|recipient)s?$"
)
GONE = "redacted"
LEAST_WORD = 4  # shorter words stand everywhere
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s\"'<>\\]*)")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_SIXTEEN = "[0-9A-Fa-f]{1,4}"
_IPV6 = re.compile(  # in full, or with its zeros left out; and Ethernet addresses
    rf"(?<![\w:])(?:(?:{_SIXTEEN}:){{7}}{_SIXTEEN}|(?:{_SIXTEEN}:){{1,7}}:(?:{_SIXTEEN}(?::{_SIXTEEN})*)?"
    r"|(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(?![\w:])"
)
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HOST_OPTION = re.compile(r"(?<=[?&]host=)[^&\s]+")
_DEVICE = re.compile(r"(?P<scheme>rtu|unix|slcan|serial):(?P<path>/[^?\s]*)")
_HERE = frozenset({"127.0.0.1", "0.0.0.0", "localhost", "[::1]"})
_STAND_IN = re.compile(r"host-\d+\.invalid")
_DEVICES = ("tcp",)  # whose path is a unit's number


class Redaction:
    """Stand-ins for what is secret, kept in mind for texts that come later."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        """`words`: secrets known beforehand."""
        self._words: set[str] = set()  # replaced wherever they stand
        self._never: set[str] = set()  # passwords and tokens: nothing that holds one is handed out
        self._hosts: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        for word in words:
            self._secret(word)

    def _secret(self, word: str) -> None:
        """A password or token."""
        self._never |= self._noted(word)

    def _noted(self, word: str) -> set[str]:
        """A user, a host, a path: no secret by itself, and nobody's business. Returns how it may be written."""
        if len(word) < LEAST_WORD or word in _HERE or word == GONE:
            return set()
        forms = {form for each in (word, unquote(word)) for form in (each, json.dumps(each)[1:-1])}
        self._words |= forms
        return forms

    # --- site files ---------------------------------------------------------------------------------------------------

    def table(self, value: Any, key: str = "") -> Any:
        """A file's content without its secrets, of the same shape."""
        if isinstance(value, dict):
            return {name: self.table(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.table(each, key) for each in value]
        if key.endswith("_env") and isinstance(value, str):
            self._secret(os.environ.get(value, ""))
            return value
        if SECRET_KEYS.search(key):
            if isinstance(value, str):
                self._noted(value) if re.search("(?i)user|login|mail|recipient", key) else self._secret(value)
                return GONE
            return 0 if isinstance(value, int) and not isinstance(value, bool) else value
        return self._address(value) if isinstance(value, str) else value

    def _address(self, text: str) -> str:
        text = _URL.sub(lambda match: self._url(match["scheme"], match["rest"]), text)
        text = _DEVICE.sub(lambda match: self._device(match["scheme"], match["path"]), text)
        text = _HOST_OPTION.sub(lambda match: self._host(match[0]), text)
        text = _MAIL.sub(lambda match: self._mail(match[0]), text)
        return _IPV6.sub(lambda match: self._host(match[0]), _IPV4.sub(lambda match: self._host(match[0]), text))

    def _url(self, scheme: str, rest: str) -> str:
        """Scheme, a stand-in for the host, the port; the path only where it is a unit's number."""
        place, slash, path = rest.partition("/")
        place, _, query = place.partition("?")
        user, at, host = place.rpartition("@")
        if at:
            name, _, password = user.partition(":")
            self._noted(name)
            self._secret(password)
        name, colon, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
        told = f"{scheme}://{self._host(name)}{colon}{port}"
        if scheme in _DEVICES:
            return f"{told}{slash}{path}"
        for word in re.split(r"[/?&=#]", f"{path}&{query}"):
            if len(word) > 2 * LEAST_WORD:
                self._secret(word)
        return told

    def _host(self, host: str) -> str:
        if host in _HERE or _STAND_IN.fullmatch(host):
            return host
        if host not in self._hosts:
            if re.search(r"[.:]", host):  # `meter` is a word as any other
                self._noted(host)
            self._hosts[host] = f"host-{len(self._hosts) + 1}.invalid"
        return self._hosts[host]

    def _device(self, scheme: str, path: str) -> str:
        if path not in self._paths:
            self._noted(path)
            self._paths[path] = f"/dev/{GONE}-{len(self._paths) + 1}"
        return f"{scheme}:{self._paths[path]}"

    def _mail(self, mail: str) -> str:
        if mail.endswith("@example.invalid"):
            return mail
        self._noted(mail)
        return f"{GONE}@example.invalid"

    # --- other texts --------------------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """A text without secrets that were met before, and without whatever looks like an address."""
        for host, alias in self._hosts.items():
            if host in self._words:
                text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", alias, text)
        for word in sorted(self._words, key=len, reverse=True):
            text = text.replace(word, GONE)
        return self._address(text)

    def left_in(self, data: bytes) -> bool:
        """Whether a password or a token stands in there all the same."""
        return any(word.encode() in data for word in self._never)


# --- TOML -------------------------------------------------------------------------------------------------------------


def toml(table: dict[str, Any]) -> str:
    """A table as TOML: its own values first, then a section for each table in it, with all below inline."""
    plain = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if not isinstance(value, dict)]
    return "\n".join([*plain, *_sections(table)]) + "\n"


def _sections(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield f"\n[{_key(name)}]"
            yield from (f"{_key(key)} = {_value(each)}" for key, each in value.items())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        mark = "\n    " if value and isinstance(value[0], dict | list) else " "
        return "[" + mark.strip(" ") + f",{mark}".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return "nan" if isnan(value) else ("inf" if value > 0 else "-inf") if isinf(value) else repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return _text(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
