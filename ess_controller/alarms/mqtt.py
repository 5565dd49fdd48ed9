"""Alarms over MQTT: what is open as a retained state, what happens as events, and a last will that says we are gone.

TOPIC/alarms: {"site", "alarms": [...]} as `ess alarms --json` has them, retained; TOPIC/alarms/event: messages, QoS 1
(a repeat has the same "key"); TOPIC/alarms/online: "online", and "offline" from the broker when the line breaks.
The library keeps what the broker has not acknowledged and sends it again: of each topic no more than one waits so.
"""

import json
import ssl
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ess_controller.alarms.channel import NO_LIMIT, Outcome, secret
from ess_controller.alarms.message import Message
from ess_controller.site.alarms import MqttSettings

KEEP_ALIVE_S = 30
TAKEN_WITHIN_S = 10.0
MOST_WAITING = 16  # in the library, whatever happens to the line
UNSAID = "the broker does not say that it has it"


class Mqtt:
    """A channel on a broker: a line that is held, and made again by itself."""

    limit_bytes = NO_LIMIT

    def __init__(self, settings: MqttSettings, site: str, taken_within_s: float = TAKEN_WITHIN_S) -> None:
        """BadInputError where the password is not in the environment."""
        password = secret(settings.name, settings.password_env)
        self._topic, self._site, self._taken_within_s = f"{settings.topic}/alarms", site, taken_within_s
        self._lock = Lock()  # `_why` is the line's thread's too
        self._why = "not connected yet"
        self._lines = 0  # so often the line was made
        self._shown = (0, "")  # on which of them which state was told
        self._online: paho.MQTTMessageInfo | None = None  # what went out last on each topic
        self._state: paho.MQTTMessageInfo | None = None
        self._event: tuple[str, paho.MQTTMessageInfo] | None = None  # with its key
        parts = urlsplit(settings.url)
        self._line = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"ess-{site}-{settings.name}"[:60])
        if settings.user:
            self._line.username_pw_set(settings.user, password)
        if parts.scheme == "mqtts":
            self._line.tls_set_context(ssl.create_default_context())
        self._line.will_set(f"{self._topic}/online", "offline", qos=1, retain=True)
        self._line.on_connect = self._connected
        self._line.on_disconnect = self._disconnected
        self._line.reconnect_delay_set(1, 60)
        self._line.max_queued_messages_set(MOST_WAITING)
        self._line.connect_async(parts.hostname or "", parts.port or 1883, KEEP_ALIVE_S)
        self._line.loop_start()

    def _connected(self, line: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        with self._lock:
            self._why = f"the broker refuses: {reason}" if reason.is_failure else ""
        if not reason.is_failure:
            self._lines += 1
            if not _waits(self._online):
                self._online = line.publish(f"{self._topic}/online", "online", qos=1, retain=True)

    def _disconnected(self, _line: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        with self._lock:
            self._why = self._why or f"not connected: {reason}"

    def send(self, message: Message) -> Outcome:
        """Publish it; taken once the broker says so."""
        if not self._line.is_connected():
            with self._lock:
                return Outcome(self._why or "not connected")
        try:
            before = self._event
            if before is not None and not self._is_taken(before[1]):
                return Outcome(UNSAID)
            if before is None or before[0] != message.key:
                told = message.data | {"title": message.title, "text": message.text, "key": message.key}
                sent = self._line.publish(f"{self._topic}/event", json.dumps(told), qos=1)
                self._event = message.key, sent
                if not self._is_taken(sent):
                    return Outcome(UNSAID)
        except (ValueError, RuntimeError) as trouble:
            self._event = None
            return Outcome(str(trouble))
        self._event = None
        return Outcome()

    def _is_taken(self, sent: paho.MQTTMessageInfo) -> bool:
        """Within its time. Raises ValueError and RuntimeError where it never went out."""
        sent.wait_for_publish(self._taken_within_s)
        return sent.is_published()

    def show(self, alarms: Sequence[Mapping[str, Any]]) -> None:
        """Publish what is open, retained, where it has changed or the line is new, once the one before is taken."""
        told = self._lines, json.dumps({"site": self._site, "alarms": list(alarms)})
        if told == self._shown or not self._line.is_connected() or _waits(self._state):
            return
        self._state = self._line.publish(self._topic, told[1], qos=1, retain=True)
        if self._state.rc != paho.MQTT_ERR_QUEUE_SIZE:
            self._shown = told

    def close(self) -> None:
        """Say that we go, and go."""
        if self._line.is_connected():
            gone = self._line.publish(f"{self._topic}/online", "offline", qos=1, retain=True)
            try:
                gone.wait_for_publish(2.0)
            except (ValueError, RuntimeError):
                return
            finally:
                self._line.disconnect()
                self._line.loop_stop()
        else:
            self._line.disconnect()
            self._line.loop_stop()


def _waits(sent: paho.MQTTMessageInfo | None) -> bool:
    """Whether the broker has yet to say that it has it."""
    try:
        return sent is not None and not sent.is_published()
    except (ValueError, RuntimeError):  # it never went out
        return False
