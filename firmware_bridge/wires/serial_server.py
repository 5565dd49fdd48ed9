"""Serves Modbus RTU devices on a serial line: a real one, or one between two programs that needs no adapter."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from firmware_bridge.wires import RegisterBank
from firmware_bridge.wires.backoff import Backoff
from firmware_bridge.wires.register_reply import carry_out
from firmware_bridge.wires.rtu import BROADCAST, RequestEar, SerialSettings, seal
from firmware_bridge.wires.serial_port import Port, open_port, serve_port

GAP_S = 0.05  # nothing more came of a request: beyond a USB adapter's latency, well within a master's patience
OPEN_RETRY_S = (0.2, 2.0)

log = logging.getLogger(__name__)


class SerialServer:
    """The units of one line. Runs in the loop that calls it."""

    def __init__(
        self, path: Path, settings: SerialSettings, units: Mapping[int, RegisterBank], lock: Lock, *, is_ours: bool
    ) -> None:
        """`is_ours`: a line between two programs, made here; else the path is that of a device."""
        self._path, self._settings, self._units, self._lock, self._is_ours = path, settings, units, lock, is_ours
        self._ear = RequestEar()
        self._port: Port | None = None
        self._backoff = Backoff(*OPEN_RETRY_S)
        self._gap: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to serve. Raises OSError, in one sentence, where the line is not to be had."""
        if self._is_ours:
            self._port = serve_port(self._path, self._hear, self._lost)
            return
        try:
            self._port = open_port(self._path, self._settings, self._hear, self._lost)
        except OSError as error:
            raise OSError(f"cannot serve on {self._path}: {error}") from error

    def close(self) -> None:
        """Let go of the line."""
        for timer in (self._gap, self._again):
            if timer is not None:
                timer.cancel()
        if self._port is not None:
            self._port.close()

    def _lost(self) -> None:
        """The adapter was pulled out: knock until it is back."""
        log.warning("%s is gone: served again when it is back", self._path)
        self._knock()

    def _knock(self) -> None:
        try:
            self.open()
        except OSError:
            loop = asyncio.get_running_loop()
            self._backoff.failed(loop.time())
            self._again = loop.call_at(self._backoff.next_s, self._knock)
            return
        self._backoff.worked()
        log.warning("%s is served again", self._path)

    def _hear(self, heard: bytes) -> None:
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        for unit, pdu in self._ear.feed(heard):
            self._answer(unit, pdu)
        if self._ear.pending:
            self._gap = asyncio.get_running_loop().call_later(GAP_S, self._fell_silent)

    def _fell_silent(self) -> None:
        self._gap = None
        for unit, pdu in self._ear.silence():
            self._answer(unit, pdu)

    def _answer(self, unit: int, pdu: bytes) -> None:
        """Carry out a request; nobody answers one to everybody, and nobody here one to another's unit."""
        if unit == BROADCAST:
            for bank in self._units.values():
                self._reply(bank, pdu)
        elif unit in self._units and (reply := self._reply(self._units[unit], pdu)):
            self._say(seal(unit, reply))

    def _reply(self, bank: RegisterBank, pdu: bytes) -> bytes:
        with self._lock:
            return carry_out(bank, pdu) if bank.answering else b""

    def _say(self, frame: bytes) -> None:
        """Between two programs at once; on a real line after its silence, in which the master turns to listening."""
        if self._port is None:
            return
        if self._is_ours:
            self._port.write(frame)
        else:
            asyncio.get_running_loop().call_later(self._settings.silence_s, self._port.write, frame)
