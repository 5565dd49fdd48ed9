"""The keeper of a CAN bus on a local socket: the simulated world listens here, and all participants hear each other."""

import errno
import os
import select
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.frames import Frames, WireHealth
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.can_ids import is_error
from firmware_bridge.wires.can_socket import FRAMES_PER_PACKET
from firmware_bridge.wires.recvmmsg import Batch, Receiver, Sender, queue_full, wire_time
from firmware_bridge.wires.socket_wire import frames_of, keep_long_queue, local_socket, pack, reachable

MOST_CLIENTS = 32


@dataclass(slots=True, eq=False)
class Client:
    """One participant, with what it lost by reading too slowly."""

    number: int
    socket: socket.socket
    dropped: int = 0


class UnixCanHub:
    """Listens on a SEQPACKET socket file and is itself a CanWire: the world's end of the bus.

    Frames of a client reach the other clients and this end in the next `drain` (or `send`). A socket file that
    nobody serves is replaced; one that another process serves is an OSError with one clear sentence.
    """

    def __init__(self, path: Path, clock: WireClock) -> None:
        self.name = f"unix:{path}"
        self.clients: list[Client] = []
        self._path = path
        self._clock = clock
        self._health = WireHealth(up=True)
        self._receiver = Receiver(frames_per_packet=FRAMES_PER_PACKET)
        self._sender = Sender()
        self._heard: list[Frames] = []
        self._served = 0
        self._listener = _listen(path)
        self._ready = select.poll()  # one look at everybody, who mostly have nothing to say
        self._ready.register(self._listener, select.POLLIN)
        self._inode = os.stat(path).st_ino

    @property
    def health(self) -> WireHealth:
        """Counters of this end; `dropped` includes what slow clients lost."""
        return self._health

    def drain(self) -> Frames:
        """All frames the clients sent since the last call, oldest first."""
        self._pump()
        heard, self._heard = Frames.join(self._heard), []
        return heard

    def send(self, frames: Frames) -> None:
        """Say frames to every client; a client whose queue is full loses them, and that is counted."""
        self._pump()
        if not len(frames):
            return
        packed = pack(frames)
        self._health.dropped += len(frames) - len(packed)
        self._health.sent += len(packed)
        for client in list(self.clients):
            self._hand(client, packed)

    def close(self) -> None:
        """Let go of the clients and of the socket file, unless another process has replaced it."""
        for client in list(self.clients):
            self._dismiss(client)
        self._listener.close()
        self._health.up = False
        try:
            if os.stat(self._path).st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            return

    def _pump(self) -> None:
        """Welcome newcomers, read who has said something, pass it on."""
        ready = {number for number, _ in self._ready.poll(0)}
        if not ready:
            return
        known = self._served
        self._welcome()
        speaking = [each for each in self.clients if each.number > known or each.socket.fileno() in ready]
        batches = [(client, self._read(client)) for client in speaking]
        batches = [(client, batch) for client, batch in batches if len(batch.frames)]
        if not batches:
            return
        packed = np.concatenate([batch.frames for _, batch in batches])
        stamps = np.concatenate([batch.stamp_s for _, batch in batches])
        sender = np.repeat([client.number for client, _ in batches], [len(batch.frames) for _, batch in batches])
        order = np.argsort(stamps, kind="stable")
        packed, stamps, sender = packed[order], stamps[order], sender[order]
        for client in list(self.clients):
            self._hand(client, packed[sender != client.number])
        self._health.received += len(packed)
        self._heard.append(frames_of(packed, wire_time(stamps, self._clock)))

    def _welcome(self) -> None:
        while True:
            try:
                newcomer, _ = self._listener.accept()
            except OSError:  # nobody waits (or gave up waiting)
                return
            if len(self.clients) >= MOST_CLIENTS:
                self._health.trouble = f"{self.name}: more than {MOST_CLIENTS} clients, one was sent away"
                newcomer.close()
                continue
            keep_long_queue(newcomer)
            self._served += 1
            self._ready.register(newcomer, select.POLLIN)
            self.clients.append(Client(self._served, newcomer))

    def _read(self, client: Client) -> Batch:
        batch = self._receiver.read(client.socket)
        if batch.failure is not None:
            self._health.trouble = f"{self.name}: a client failed: {batch.failure.strerror}"
        if batch.ended or batch.failure is not None:
            self._dismiss(client)
        if batch.malformed:
            self._health.trouble = f"{self.name}: {batch.malformed} packets of a client are no CAN frames"
        error_frames = is_error(batch.frames["id"])
        if not error_frames.any():
            return batch
        kept = ~error_frames
        return Batch(batch.frames[kept], batch.stamp_s[kept], None, batch.malformed, batch.ended)

    def _hand(self, client: Client, packed: NDArray[Any]) -> None:
        if not len(packed):
            return
        sent, error = self._sender.send(client.socket, packed)
        client.dropped += len(packed) - sent
        self._health.dropped += len(packed) - sent
        if error is None:
            return
        if queue_full(error):
            self._health.trouble = f"{self.name}: a client reads too slowly and loses frames"
        else:
            self._dismiss(client)

    def _dismiss(self, client: Client) -> None:
        if client.socket.fileno() >= 0:
            self._ready.unregister(client.socket)
        client.socket.close()
        if client in self.clients:
            self.clients.remove(client)


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`. Raises OSError, in one sentence, where that cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    listener = local_socket()
    try:
        with reachable(path) as address:
            listener.bind(address)
        listener.listen(MOST_CLIENTS)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot keep a CAN bus at {path}: {error.strerror or error}") from error
    return listener


def _clear(path: Path) -> None:
    """Remove a socket file that nobody serves any more; refuse to touch anything else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(f"cannot keep a CAN bus at {path}: a file that is no socket is in the way")
    probe = local_socket()
    try:
        with reachable(path) as address:
            probe.connect(address)
    except OSError as error:
        if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
            raise OSError(f"another process already keeps the CAN bus {path}") from error
        path.unlink(missing_ok=True)
    else:
        raise OSError(f"another process already keeps the CAN bus {path}")
    finally:
        probe.close()
