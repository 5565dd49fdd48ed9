"""Webhooks: group robots of DingTalk, Feishu and WeCom, and a plain one; how each is signed and what it answers.

DingTalk: open.dingtalk.com/document/robots/customize-robot-security-settings: `timestamp` (ms) and `sign` in the query,
sign = base64(HMAC-SHA256(key = secret, text = timestamp "\\n" secret)); 20 messages a minute; 20 000 bytes.
Feishu: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: `timestamp` (s) and `sign` in the body,
sign = base64(HMAC-SHA256(key = timestamp "\\n" secret, text = "")); 100 a minute; a body of 20 KB.
WeCom: developer.work.weixin.qq.com/document/path/91770: the key is in the URL; 20 a minute; a text of 2048 bytes.
Plain: `X-ESS-Signature: sha256=HEX`, HMAC-SHA256 of the body; any 2xx is taken.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ess_controller.alarms.channel import NO_LIMIT, Outcome, secret
from ess_controller.alarms.http_post import Reply, post
from ess_controller.alarms.message import Message
from ess_controller.site.alarms import WebhookSettings

LIMITS = {"dingtalk": 18_000, "feishu": 12_000, "wecom": 2048, "webhook": NO_LIMIT}  # bytes; JSON escapes included
LONGEST_WORD = 200  # of a server's explanation
TOO_MANY = (130101, 45009, 11232, 9499)  # DingTalk, WeCom, Feishu twice: sent too often
TOO_MANY_S = 60.0


def dingtalk_sign(key: str, now: datetime) -> dict[str, str]:
    """What the query carries."""
    stamp = str(round(now.timestamp() * 1000))
    digest = hmac.new(key.encode(), f"{stamp}\n{key}".encode(), hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


def feishu_sign(key: str, now: datetime) -> dict[str, str]:
    """What the body carries."""
    stamp = str(round(now.timestamp()))
    digest = hmac.new(f"{stamp}\n{key}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


def request(kind: str, url: str, key: str, message: Message) -> tuple[str, bytes, dict[str, str]]:
    """URL, body and headers of one message; `key` empty: not signed."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if kind == "webhook":
        body = json.dumps(message.data | {"title": message.title, "text": message.text, "key": message.key}).encode()
        if key:
            headers["X-ESS-Signature"] = f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"
        return url, body, headers
    if kind == "feishu":
        signed = feishu_sign(key, message.now) if key else {}
        told: dict[str, Any] = {**signed, "msg_type": "text", "content": {"text": message.text}}
    else:
        told = {"msgtype": "text", "text": {"content": message.text}}
    if kind == "dingtalk" and key:
        url += ("&" if "?" in url else "?") + urlencode(dingtalk_sign(key, message.now))
    return url, json.dumps(told, ensure_ascii=False).encode(), headers


def judged(kind: str, reply: Reply) -> Outcome:
    """Whether a server has taken it: robots answer 200 to what they refuse too, and say so in the body."""
    if reply.why:
        return Outcome(reply.why)
    if not 200 <= reply.status < 300:
        return Outcome(f"HTTP {reply.status}", reply.retry_after_s)
    if kind == "webhook":
        return Outcome()
    try:
        told = json.loads(reply.body)
        code = told.get("code", told.get("StatusCode")) if kind == "feishu" else told.get("errcode")
        words = str(told.get("msg", told.get("errmsg", "")))[:LONGEST_WORD]
    except (ValueError, AttributeError, RecursionError):
        return Outcome("answers no JSON object: is the URL a robot's?")
    if code == 0:
        return Outcome()
    return Outcome(f"refused: {code}: {words}", TOO_MANY_S if code in TOO_MANY else 0.0)


class Webhook:
    """A channel that posts."""

    def __init__(self, settings: WebhookSettings, timeout_s: float = 15.0) -> None:
        """BadInputError where a secret is not in the environment."""
        self._kind, self._timeout_s = settings.kind, timeout_s
        self._url = secret(settings.name, settings.url_env)
        self._key = secret(settings.name, settings.secret_env)
        self.limit_bytes = LIMITS[settings.kind]

    def send(self, message: Message) -> Outcome:
        """Post it."""
        return judged(self._kind, post(*request(self._kind, self._url, self._key, message), self._timeout_s))

    def show(self, alarms: Sequence[Mapping[str, Any]]) -> None:
        """Robots show no state."""

    def close(self) -> None:
        """Nothing is held."""
