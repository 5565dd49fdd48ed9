"""Serial ports as Modbus RTU needs them: real devices, and lines between two programs that need no adapter.

The only file that imports pyserial. A line between two programs is a pseudo-terminal whose far end has a name in the
file system, a link that the serving program keeps; a lock that dies with that program (an abstract socket) tells a
living line from the link of one that crashed, whose number may by now be somebody's terminal.
"""

import asyncio
import errno
import os
import socket
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from serial import PARITY_EVEN, PARITY_NONE, PARITY_ODD, Serial, SerialException

from firmware_bridge.wires.rtu import SerialSettings

_PSEUDO = "/dev/pts/"
_PARITY = {"none": PARITY_NONE, "even": PARITY_EVEN, "odd": PARITY_ODD}
_WORDS = {
    errno.ENOENT: "there is no such device",
    errno.ENODEV: "there is no such device",
    errno.ENXIO: "there is no such device",
    errno.EACCES: "not allowed (is the user in the group dialout?)",
    errno.EAGAIN: "another process uses it",
    errno.EBUSY: "another process uses it",
    errno.ENOTTY: "no serial device",
    errno.EISDIR: "no serial device",
}


class Port:
    """An open serial port in the running loop: tells what it hears, and once when it is gone."""

    def __init__(
        self, fd: int, release: Callable[[], object], heard: Callable[[bytes], object], lost: Callable[[], object]
    ) -> None:
        """`release` closes `fd`, which does not block; `heard` and `lost` are called in the loop."""
        self.is_open = True
        self._fd, self._release, self._heard, self._lost = fd, release, heard, lost
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    def write(self, said: bytes) -> bool:
        """Say all of it; False where the line does not take it whole."""
        try:
            return self.is_open and os.write(self._fd, said) == len(said)
        except OSError:  # full, or gone: the reader learns that too
            return False

    def forget(self) -> None:
        """Drop what has not gone out and what has not been read."""
        if self.is_open:
            with suppress(termios.error):
                termios.tcflush(self._fd, termios.TCIOFLUSH)

    def close(self) -> None:
        """Let go of the port."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._fd)
            self._release()

    def _read(self) -> None:
        try:
            heard = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if heard:
            self._heard(heard)
        else:
            self.close()
            self._lost()


def open_port(
    path: Path, settings: SerialSettings, heard: Callable[[bytes], object], lost: Callable[[], object]
) -> Port:
    """Open a serial device for this process alone. Raises OSError with a phrase that says why it is not to be had."""
    # a pseudo-terminal has no parity and keeps "none" whatever it is asked for; glibc's tcsetattr calls that an invalid
    # argument where nothing else changes either, which is so for everybody but the first who opens it
    pseudo = os.path.realpath(path).startswith(_PSEUDO)
    try:
        device = Serial(
            str(path),
            settings.baud,
            parity=PARITY_NONE if pseudo else _PARITY[settings.parity],
            stopbits=settings.stop,
            timeout=0,
            inter_byte_timeout=0,  # VMIN 1: nothing to read is then told apart from nobody there
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:
        raise OSError(_why(error)) from error
    return Port(device.fileno(), device.close, heard, lost)


def serve_port(path: Path, heard: Callable[[bytes], object], lost: Callable[[], object]) -> Port:
    """Make a line of that name and take its near end. Raises OSError in one sentence when another process serves it."""
    lock = _lock(path)
    try:
        near, far = os.openpty()
    except OSError as error:
        lock.close()
        raise OSError(f"no pseudo-terminal for {path}: {error.strerror or error}") from error
    tty.setraw(far)  # before anybody comes: no echo; it stays open, or the line would end with its first master
    os.set_blocking(near, False)
    target = os.ttyname(far)

    def release() -> None:
        with suppress(OSError):
            if os.readlink(path) == target:
                path.unlink()
        for fd in (near, far):
            os.close(fd)
        lock.close()

    try:
        _link(path, target)
    except OSError as error:
        release()
        raise OSError(f"cannot make the serial line {path}: {error.strerror or error}") from error
    return Port(near, release, heard, lost)


def is_served(path: Path) -> bool:
    """Whether a living process serves the line of this name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        try:
            caller.connect(_lock_name(path))
        except OSError:
            return False
    return True


def _lock(path: Path) -> socket.socket:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(_lock_name(path))
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"the serial line {path} is taken: another process serves it") from error
        raise
    return lock


def _lock_name(path: Path) -> bytes:
    """An address that is no file: of the kernel's own, gone with its process; unix(7), abstract sockets."""
    true_path = Path(os.path.realpath(path.parent)) / path.name
    return b"\0ess-serial-" + sha256(os.fsencode(true_path)).hexdigest().encode()


def _link(path: Path, target: str) -> None:
    """Point `path` to `target`; a link that is there already is stale, anything else is not ours to replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink():
        raise OSError(errno.EEXIST, "a file of that name is there")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def _why(error: Exception) -> str:
    """In one phrase. The library wraps what the kernel said, with or without its number."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and isinstance(error, termios.error):
        number = error.args[0]
    if number is None and isinstance(error, SerialException):
        number = errno.ENOTTY  # it opened, and could not be set up
    return _WORDS.get(number or 0) or (os.strerror(number) if number else str(error))
