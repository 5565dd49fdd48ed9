"""A real broker (Debian's mosquitto) and a real client: state, events, and the last will of a watch that is killed."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ess_controller.alarms.answer import told
from ess_controller.alarms.book import advance
from ess_controller.alarms.mqtt import UNSAID, Mqtt
from ess_controller.site.alarms import MqttSettings
from tests.alarms.made import EMPTY, HIGH, HOLD_OFF_S, NOON
from tests.alarms.test_webhooks import WRITER, items, message
from tests.rig.influx import free_port
from tests.telemetry.waiting import wait_until

pytestmark = pytest.mark.rig
STATE = "ess/bench/alarms"
CONNECT, PUBLISH = 1, 3  # MQTT's kinds of packets


class Broker:
    """A running mosquitto, and what a client that listens to everything has heard."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self._conf = port, folder / "mosquitto.conf"
        self._conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        self.heard: dict[str, list[str]] = {}
        self._turn = Condition()
        self._process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed (Debian: mosquitto)")
        self._process = subprocess.Popen([program, "-c", str(self._conf)], stderr=subprocess.DEVNULL)

    def listen(self) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", self.port)
        self._client.loop_start()
        wait_until(self._client.is_connected)

    def _hear(self, _client: Any, _data: Any, what: Any) -> None:
        with self._turn:
            self.heard.setdefault(what.topic, []).append(what.payload.decode())

    def down(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def close(self) -> None:
        if hasattr(self, "_client"):
            self._client.disconnect()
            self._client.loop_stop()
        self.down()

    def settings(self) -> MqttSettings:
        return MqttSettings("broker", "notice", 1, f"mqtt://127.0.0.1:{self.port}", "ess/bench", "", "")


class Deaf:
    """A broker that takes a line and whatever comes over it, and says of nothing that it has it until `hears` is set.
    MQTT 3.1.1, OASIS 2014: CONNACK 3.2, PUBLISH 3.3, PUBACK 3.4."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []  # topic, payload
        self.hears = False
        self._owed: list[bytes] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._lines: list[socket.socket] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._door.accept()
                self._lines.append(line)
                Thread(target=self._listen, args=(line,), daemon=True).start()

    def _listen(self, line: socket.socket) -> None:
        with suppress(OSError), line.makefile("rb") as heard:
            while head := heard.read(1):
                length, shift = 0, 0
                while (byte := heard.read(1)[0]) & 0x80:
                    length, shift = length | (byte & 0x7F) << shift, shift + 7
                body = heard.read(length | byte << shift)
                if head[0] >> 4 == CONNECT:
                    line.sendall(b"\x20\x02\x00\x00")
                elif head[0] >> 4 == PUBLISH:
                    size = 2 + int.from_bytes(body[:2])
                    self.published.append((body[2:size].decode(), body[size + 2 :].decode()))
                    self._owed.append(b"\x40\x02" + body[size : size + 2])
                while self.hears and self._owed:
                    line.sendall(self._owed.pop(0))

    def break_off(self) -> None:
        """The line that was made last."""
        self._lines[-1].shutdown(socket.SHUT_RDWR)

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload in self.published if name == topic]

    def settings(self) -> MqttSettings:
        return MqttSettings("broker", "notice", 1, f"mqtt://127.0.0.1:{self.port}", "ess/bench", "", "")

    def close(self) -> None:
        for each in (self._door, *self._lines):
            each.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, free_port())
    yield made
    made.close()


def sent(channel: Mqtt) -> bool:
    return channel.send(message()).taken


def test_state_is_retained_events_come_once_and_the_end_is_said(broker: Broker) -> None:
    broker.up()
    channel = Mqtt(broker.settings(), "bench")
    wait_until(lambda: sent(channel))
    state = [told(coming) for coming in advance(EMPTY, [HIGH], NOON, HOLD_OFF_S).comings]
    channel.show(state)
    broker.listen()  # later than all that: what is retained is heard all the same
    wait_until(lambda: STATE in broker.heard)
    assert json.loads(broker.heard[STATE][-1]) == {"site": "bench", "alarms": state}
    assert broker.heard[f"{STATE}/online"] == ["online"]
    assert sent(channel)
    wait_until(lambda: f"{STATE}/event" in broker.heard)
    (event,) = map(json.loads, broker.heard[f"{STATE}/event"])
    assert [alarm["id"] for alarm in event["alarms"]] == ["diagnosis/A1/cell-over-voltage", "diagnosis/A/door-open"]
    channel.close()
    wait_until(lambda: broker.heard[f"{STATE}/online"][-1] == "offline")


def test_a_watch_that_is_killed_leaves_its_last_will(broker: Broker) -> None:
    broker.up()
    broker.listen()
    code = (
        "import sys; from ess_controller.alarms.mqtt import Mqtt;"
        "from ess_controller.site.alarms import MqttSettings;"
        "Mqtt(MqttSettings('broker', 'notice', 1, sys.argv[1], 'ess/bench', '', ''), 'bench'); sys.stdin.read()"
    )
    url = broker.settings().url
    watch = subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE)
    wait_until(lambda: broker.heard.get(f"{STATE}/online") == ["online"])
    watch.kill()
    wait_until(lambda: broker.heard[f"{STATE}/online"][-1] == "offline")
    watch.communicate()


def test_a_broker_that_is_down_is_told_and_found_again(broker: Broker) -> None:
    channel = Mqtt(broker.settings(), "bench")
    assert channel.send(message()).why == "not connected yet"
    broker.up()
    wait_until(lambda: sent(channel))
    broker.down()
    wait_until(lambda: channel.send(message()).why.startswith("not connected: "))
    broker.up()
    wait_until(lambda: sent(channel))
    channel.close()


def test_what_a_broker_never_acknowledges_does_not_pile_up_and_the_newest_state_is_told_once_it_does() -> None:
    deaf = Deaf()
    channel = Mqtt(deaf.settings(), "bench", taken_within_s=0.05)
    other = WRITER.message(items(HIGH, now=NOON), NOON, 2048)[0]
    assert other.key != message().key

    def times() -> list[int]:
        return [len(deaf.of(f"{STATE}{end}")) for end in ("/online", "/event", "")]

    wait_until(lambda: channel.send(message()).why == UNSAID)
    for number in range(20):
        assert channel.send(message() if number % 2 else other).why == UNSAID
        channel.show([{"id": f"state {number}"}])
    wait_until(lambda: times() == [1, 1, 1])
    for lines in (2, 3):  # it may hang up, too: then all of it comes once more, and no more
        deaf.break_off()
        wait_until(lambda lines=lines: times() == [lines] * 3)  # type: ignore[misc]
    deaf.hears = True
    deaf.break_off()
    wait_until(lambda: sent(channel))

    def newest_is_told() -> bool:
        channel.show([{"id": "newest"}])
        return any("newest" in state for state in deaf.of(STATE))

    wait_until(newest_is_told)
    told_then = len(deaf.of(STATE))
    channel.show([{"id": "newest"}])
    assert len(deaf.of(STATE)) == told_then
    channel.close()
    deaf.close()


def test_a_state_that_has_not_changed_is_told_again_to_a_broker_that_was_started_anew(broker: Broker) -> None:
    broker.up()
    channel = Mqtt(broker.settings(), "bench")
    wait_until(lambda: sent(channel))
    channel.show([])
    broker.down()
    wait_until(lambda: not sent(channel))
    broker.up()  # it has kept nothing
    wait_until(lambda: sent(channel))
    channel.show([])
    broker.listen()
    wait_until(lambda: STATE in broker.heard)
    channel.close()
