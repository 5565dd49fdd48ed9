"""CAN over any adapter that python-can knows (slcan, pcan, kvaser, udp_multicast and so on).

The only file that imports python-can, and only when such a wire opens. Vendors' drivers may block, so an adapter has
two threads of its own, one that hears and one that speaks; the beat only looks into their queues.
"""

import queue
import threading
from collections import deque
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_bridge.frames import CAN_FRAME, NO_FRAMES, Frames, WireHealth
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.backoff import Backoff
from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK, RTR_FLAG, IdFilter
from firmware_bridge.wires.recvmmsg import wire_time
from firmware_bridge.wires.socket_wire import frames_of, pack

if TYPE_CHECKING:
    import can

QUEUE_FRAMES = 32768
BATCHES = 8  # that wait to be sent: two or three a beat
FRESH_S = 0.2  # what an adapter has not taken by then is dropped: no contactor command goes out late
RETRY_S = (0.5, 5.0)  # opening an adapter is slow, some sleep while they do it
LISTEN_S = 0.1
SEND_S = 0.1


class AdapterCan:
    """One CAN bus behind a python-can interface; `options` are its constructor's keywords.

    An adapter that is absent or fails is opened again with back-off. Error frames are counted in `error_frames`.
    """

    def __init__(
        self,
        interface: str,
        channel: str,
        options: Mapping[str, str | int | float | bool],
        clock: WireClock,
        ids: Collection[int] = (),
    ) -> None:
        self.name = f"{interface}:{channel}"
        self.error_frames = 0
        self._arguments: dict[str, Any] = {"interface": interface, "channel": channel, **options}
        self._clock = clock
        self._health = WireHealth()
        # Not python-can's own filters: with those, a foreign frame makes recv(0) say that nothing waits.
        self._wanted = IdFilter(ids)
        self._heard: deque[tuple[int, bytes, float]] = deque(maxlen=QUEUE_FRAMES)
        self._to_send: queue.Queue[tuple[float, np.ndarray[Any, Any]]] = queue.Queue(maxsize=BATCHES)
        self._bus: can.BusABC | None = None
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"{self.name} {part}", daemon=True)
            for part, work in (("hears", self._listen), ("speaks", self._speak))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def health(self) -> WireHealth:
        """Counters of this wire."""
        return self._health

    def drain(self) -> Frames:
        """All frames received since the last call, oldest first."""
        rows = [self._heard.popleft() for _ in range(len(self._heard))]
        if not rows:
            return NO_FRAMES
        packed = np.zeros(len(rows), CAN_FRAME)
        packed["id"] = [can_id for can_id, _, _ in rows]
        packed["length"] = [len(data) for _, data, _ in rows]
        packed["data"] = np.frombuffer(b"".join(data.ljust(8, b"\0") for _, data, _ in rows), np.uint8).reshape(-1, 8)
        frames = frames_of(packed, wire_time(np.array([stamp_s for _, _, stamp_s in rows]), self._clock, odd_age_s=0.0))
        frames = frames[self._wanted(frames.id)]
        self._health.received += len(frames)
        return frames

    def send(self, frames: Frames) -> None:
        """Queue frames for sending; what does not fit, or is not taken within FRESH_S, is dropped and counted.

        Frames that the adapter has taken are out of reach: how long they wait for a bus is the driver's doing.
        """
        packed = pack(frames)
        self._health.dropped += len(frames) - len(packed)
        if not len(packed):
            return
        try:
            if self._bus is None:
                self._health.dropped += len(packed)
            else:
                self._to_send.put_nowait((self._clock.monotonic_s(), packed))
        except queue.Full:
            self._health.dropped += len(packed)
            self._health.trouble = f"{self.name}: the send queue is full"

    def close(self) -> None:
        """Let go of the adapter, for good."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=2.0)

    def _listen(self) -> None:
        """Thread: open the adapter, hear until it fails, open it again."""
        backoff = Backoff(*RETRY_S)
        opened = 0
        while not self._closing.is_set():
            bus = self._open()
            if bus is not None:
                self._health.reconnects += opened > 0
                opened += 1
                self._bus, self._health.up = bus, True
                backoff.worked()
                self._hear(bus)
                self._bus, self._health.up = None, False
                self._shut(bus)
            backoff.failed(0.0)
            self._closing.wait(backoff.wait_s)

    def _open(self) -> "can.BusABC | None":
        try:
            import can  # noqa: PLC0415  0.3 s that `ess --help` must not pay

            return can.Bus(**self._arguments)
        except Exception as error:  # noqa: BLE001  a vendor's driver may raise anything, and all of it means: no bus
            self._health.trouble = f"{self.name}: {in_words(error)}"
            return None

    def _hear(self, bus: "can.BusABC") -> None:
        while not self._closing.is_set():
            try:
                message = bus.recv(LISTEN_S)
            except Exception as error:  # noqa: BLE001  as above
                self._health.trouble = f"{self.name}: {in_words(error)}"
                return
            if message is not None:
                self._note(message)

    def _note(self, message: "can.Message") -> None:
        if message.is_error_frame:
            self.error_frames += 1
            self._health.trouble = f"{self.name}: {self.error_frames} error frames"
        elif not message.is_fd and message.dlc <= 8:
            if len(self._heard) == QUEUE_FRAMES:
                self._health.overflowed += 1
            flags = (EFF_FLAG if message.is_extended_id else 0) | (RTR_FLAG if message.is_remote_frame else 0)
            self._heard.append((message.arbitration_id | flags, bytes(message.data), message.timestamp))

    def _speak(self) -> None:
        """Thread: send what is queued and fresh."""
        while not self._closing.is_set():
            try:
                queued_s, packed = self._to_send.get(timeout=LISTEN_S)
            except queue.Empty:
                continue
            sent = self._send_all(packed, queued_s + FRESH_S)
            self._health.sent += sent
            self._health.dropped += len(packed) - sent

    def _send_all(self, packed: "np.ndarray[Any, Any]", until_s: float) -> int:
        """How many of the frames the adapter took; it is offered none after `until_s`."""
        import can  # noqa: PLC0415  loaded by now

        for sent, frame in enumerate(packed):
            if self._clock.monotonic_s() > until_s:
                self._health.trouble = f"{self.name}: frames older than {FRESH_S:g} s were not sent"
                return sent
            can_id, length = int(frame["id"]), int(frame["length"])
            message = can.Message(
                arbitration_id=can_id & EFF_MASK,
                is_extended_id=bool(can_id & EFF_FLAG),
                data=frame["data"][:length].tobytes(),
            )
            bus = self._bus
            try:
                if bus is None:
                    return sent
                bus.send(message, timeout=SEND_S)
            except Exception as error:  # noqa: BLE001  as above
                self._health.trouble = f"{self.name}: {in_words(error)}"
                return sent
        return len(packed)

    def _shut(self, bus: "can.BusABC") -> None:
        try:
            bus.shutdown()
        except Exception as error:  # noqa: BLE001  as above
            self._health.trouble = f"{self.name}: {in_words(error)}"


def in_words(error: Exception) -> str:
    """What a driver says of its trouble, on one line."""
    return " ".join(str(error).split()) or repr(error)
