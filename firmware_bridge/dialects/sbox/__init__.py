"""String boxes on CAN: `SboxMaster` is our end, `SboxDevices` the boxes' end (simulator and tests)."""

from firmware_bridge.dialects.sbox.device import SboxDevices
from firmware_bridge.dialects.sbox.layout import FAULT_UNKNOWN, SBOX_IDS, WATCHDOG_S, BoxFault, SboxSeat
from firmware_bridge.dialects.sbox.master import SboxMaster, SboxPicture

__all__ = [
    "FAULT_UNKNOWN",
    "SBOX_IDS",
    "WATCHDOG_S",
    "BoxFault",
    "SboxDevices",
    "SboxMaster",
    "SboxPicture",
    "SboxSeat",
]
