"""A thread that looks after slow devices, so that the beat never waits for one."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class LoopThread:
    """One asyncio loop in a thread of its own, from the first use until `close`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note)
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin `work` in the loop; its outcome comes in the future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin `work` that is to go on until `close`; the log tells if it does not."""
        self.start(work).add_done_callback(_mourn)

    def soon(self, call: Callable[[], object]) -> None:
        """Have `call` made in the loop, soon. After `close` it is not made."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """End all work and the thread."""
        if self._loop.is_closed():
            return
        self.start(_end_all()).result(timeout=5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()


async def _end_all() -> None:
    """Cancel every task but this one, and let them finish.

    Again and again: until Python 3.12 `asyncio.wait_for` swallows a cancellation that comes as its inner wait ends.
    """
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=0.1)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a peer's bytes did to the library under us is that device's trouble, told in its answers."""
    log.debug("on a register wire: %s %r", context.get("message"), context.get("exception"))


def _mourn(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("a register wire has stopped for good: %r", error)
