"""Module cell boards on CAN: `CscMaster` is our end, `CscBoards` the modules' end (simulator and tests)."""

from firmware_bridge.dialects.csc.board import CscBoards
from firmware_bridge.dialects.csc.layout import ERROR_UNKNOWN, CscSeat, csc_ids
from firmware_bridge.dialects.csc.master import CscMaster, CscPicture

__all__ = ["ERROR_UNKNOWN", "CscBoards", "CscMaster", "CscPicture", "CscSeat", "csc_ids"]
