"""Alarms over MQTT: what is open as a retained state, what happens as events, and a last will that says we are gone.

TOPIC/alarms: {"site", "alarms": [...]} as `ess alarms --json` has them, retained; TOPIC/alarms/event: messages, QoS 1
(a repeat has the same "key"); TOPIC/alarms/online: "online", and "offline" from the broker when the line breaks.
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
from ess_controller.alarms.settings import MqttSettings

KEEP_ALIVE_S = 30
TAKEN_WITHIN_S = 10.0


class Mqtt:
    """A channel on a broker: a line that is held, and made again by itself."""

    limit_bytes = NO_LIMIT

    def __init__(self, settings: MqttSettings, site: str) -> None:
        """BadInputError where the password is not in the environment."""
        password = secret(settings.name, settings.password_env)
        self._topic, self._site = f"{settings.topic}/alarms", site
        self._lock = Lock()  # `_state` and `_why` are the line's thread's too
        self._state, self._why = "", "not connected yet"
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
        self._line.connect_async(parts.hostname or "", parts.port or 1883, KEEP_ALIVE_S)
        self._line.loop_start()

    def _connected(self, line: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        with self._lock:
            self._why = f"the broker refuses: {reason}" if reason.is_failure else ""
            state = self._state
        if not reason.is_failure:
            line.publish(f"{self._topic}/online", "online", qos=1, retain=True)
            if state:
                line.publish(self._topic, state, qos=1, retain=True)

    def _disconnected(self, _line: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        with self._lock:
            self._why = self._why or f"not connected: {reason}"

    def send(self, message: Message) -> Outcome:
        """Publish it; taken once the broker says so."""
        if not self._line.is_connected():
            with self._lock:
                return Outcome(self._why or "not connected")
        told = message.data | {"title": message.title, "text": message.text, "key": message.key}
        sent = self._line.publish(f"{self._topic}/event", json.dumps(told), qos=1)
        try:
            sent.wait_for_publish(TAKEN_WITHIN_S)
        except (ValueError, RuntimeError) as trouble:
            return Outcome(str(trouble))
        return Outcome() if sent.is_published() else Outcome("the broker does not say that it has it")

    def show(self, alarms: Sequence[Mapping[str, Any]]) -> None:
        """Publish what is open, retained, where it has changed."""
        state = json.dumps({"site": self._site, "alarms": list(alarms)})
        with self._lock:
            changed = state != self._state
            self._state = state
        if changed and self._line.is_connected():  # else it is told when the line is up
            self._line.publish(self._topic, state, qos=1, retain=True)

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
