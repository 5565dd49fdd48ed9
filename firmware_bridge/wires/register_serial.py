"""Modbus RTU as its master: one request at a time on a serial line that several devices share.

RTU has no transaction number: a late answer would pass for that to the next request. So a line on which an answer was
missing or did not fit is left alone until it is silent, and what it said meanwhile is thrown away.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import NO_ANSWER, Outcome, judge_reply, reply_size, request_pdu
from firmware_bridge.wires.register_queue import ANSWER_S
from firmware_bridge.wires.rtu import SHORTEST, SerialSettings, reply_in, seal
from firmware_bridge.wires.serial_port import Port, is_served, open_port

MOST_TIMEOUTS = 20  # in a row, and a USB adapter may have hung itself up: opened anew
GAP_S = 0.1  # nothing more came of an answer: well beyond a USB adapter's latency (FTDI: 16 ms)
SETTLE_S = 0.05  # silence that proves that nobody is still answering


class SerialConnection:
    """A `Connection` to a serial line."""

    patience = MOST_TIMEOUTS
    out_of_step = False  # what follows is trusted again after a silence

    def __init__(self, path: Path, settings: SerialSettings, *, is_ours: bool) -> None:
        """`is_ours`: a line between two programs, no device: not opened while nobody serves it."""
        self.path, self.settings = path, settings
        self._is_ours = is_ours
        self._port: Port | None = None
        self._heard = bytearray()
        self._heard_s = self._free_s = 0.0  # loop time: of the last byte; the line is silent enough from then on
        self._news = asyncio.Event()
        self._unsettled = True

    @property
    def name(self) -> str:
        """What trouble is told of."""
        return str(self.path)

    @property
    def connected(self) -> bool:
        """Whether the port is there."""
        return self._port is not None and self._port.is_open

    def answer_s(self, request: Request) -> float:
        """How long the answer to a request may take: to think, and to say at this line's pace (4 = unit, CRC, echo)."""
        characters = len(request_pdu(request)) + reply_size(request) + 2 * 4
        return ANSWER_S + characters * self.settings.character_s

    async def open(self, lost: Callable[[], object]) -> str:
        """Open the port; why that did not work, empty when it did."""
        if self._is_ours and not is_served(self.path):
            return "nobody serves this line"

        def gone() -> None:
            self._news.set()
            lost()

        try:
            self._port = open_port(self.path, self.settings, self._hear, gone)
        except OSError as error:
            return str(error)
        self._unsettled = True
        return ""

    def close(self) -> None:
        """Let go of the port and of what it still holds."""
        port, self._port = self._port, None
        if port is not None:
            port.forget()
            port.close()

    async def carry_out(self, unit: int, request: Request) -> Outcome:
        """Ask one unit and wait for its answer."""
        if self._unsettled and not await self._settle():
            return (), "the line is never silent", -1
        now_s = asyncio.get_running_loop().time
        await asyncio.sleep(max(self._free_s - now_s(), 0.0))
        self._heard.clear()
        frame = seal(unit, request_pdu(request))
        if self._port is None or not self._port.write(frame):
            outcome: Outcome = (), "the line takes no bytes" if self.connected else "the connection was lost", -1
        else:
            outcome = await self._listen(unit, request, frame)
        self._free_s = now_s() + self.settings.silence_s
        self._unsettled = bool(outcome[1]) and outcome[2] <= 0
        if self._unsettled and self._port is not None:
            self._port.forget()
        return outcome

    async def _listen(self, unit: int, request: Request, frame: bytes) -> Outcome:
        """Wait for a sound answer of this unit: until its time is up, or no more comes of what was heard."""
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + self.answer_s(request)
        odd = ""
        while self.connected:
            self._news.clear()
            self._skip_echo(frame)
            while (found := reply_in(self._heard)) is not None:
                whose, pdu, end = found
                if whose == unit:
                    return judge_reply(request, pdu)
                odd = f"unit {whose} answered"
                del self._heard[:end]
            begun = len(self._heard) >= SHORTEST
            if not await self._news_until(min(until_s, self._heard_s + GAP_S) if begun else until_s):
                break
        if not self.connected:
            return (), "the connection was lost", -1
        if self._heard:
            odd = f"an unreadable answer: {len(self._heard)} bytes without a sound CRC"
        return (), odd or f"{NO_ANSWER} within {ANSWER_S:g} s", -1

    def _skip_echo(self, frame: bytes) -> None:
        """A two-wire adapter may hear itself. No good answer contains its whole request."""
        place = self._heard.find(frame)
        if place >= 0:
            del self._heard[: place + len(frame)]

    async def _settle(self) -> bool:
        """Wait until the line has been silent for SETTLE_S; False when it never is."""
        until_s = asyncio.get_running_loop().time() + ANSWER_S
        quiet_s = max(SETTLE_S, self.settings.silence_s)
        while self.connected:
            self._news.clear()
            if not await self._news_until(asyncio.get_running_loop().time() + quiet_s):
                return True
            if asyncio.get_running_loop().time() > until_s:
                return False
        return True  # the connection is gone, and that is told

    async def _news_until(self, end_s: float) -> bool:
        """Wait for more bytes (or the end of the connection), until `end_s` at most; whether there are any."""
        try:
            async with asyncio.timeout_at(end_s):
                await self._news.wait()
        except TimeoutError:
            return self._news.is_set()
        return True

    def _hear(self, heard: bytes) -> None:
        self._heard += heard
        self._heard_s = asyncio.get_running_loop().time()
        del self._heard[:-1024]  # four frames: a babbler fills no memory
        self._news.set()
