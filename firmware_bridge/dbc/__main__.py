"""Writes the DBC files anew: `python -m firmware_bridge.dbc` after a change in a frame's layout."""

from pathlib import Path

from firmware_bridge.dbc.csc import csc_text
from firmware_bridge.dbc.sbox import sbox_text

FILES = {
    "csc.dbc": lambda: csc_text(large=False),
    "csc_phev.dbc": lambda: csc_text(large=True),
    "sbox.dbc": sbox_text,
}


def main() -> None:
    """Write each file beside this one."""
    for name, text in FILES.items():
        (Path(__file__).parent / name).write_text(text(), encoding="ascii")


if __name__ == "__main__":
    main()
