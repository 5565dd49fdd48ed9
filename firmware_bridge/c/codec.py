"""Writes the C codec of the module bus: `ess_csc.h` and `ess_csc.c`, from the two DBC files and their templates."""

import hashlib
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from firmware_bridge.c.dbc_file import read_dbc
from firmware_bridge.c.shapes import PHEV, SLOTS, Bus, Field, Payload, folded, trailer
from firmware_bridge.dialects.csc import board
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.frame_check import COUNTER_PERIOD

DBC_NAMES = ("csc.dbc", "csc_phev.dbc")
_TEMPLATES = Path(__file__).parent / "templates"
_TYPES = {1: "bool", 8: "uint8_t", 16: "uint16_t", 32: "uint32_t"}


def codec_files(dbc: Mapping[str, str]) -> dict[str, str]:
    """Name -> text of the generated files. `dbc`: text of both DBC files by name. ValueError: they do not fit."""
    names = _names(dbc)
    return {name: Template(_template(name)).substitute(names) for name in ("ess_csc.h", "ess_csc.c")}


def bus_of(dbc: Mapping[str, str]) -> Bus:
    """The messages of both layouts."""
    small, large = (read_dbc(dbc[name]).messages for name in DBC_NAMES)
    return folded(small, large)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="ascii")


def _names(dbc: Mapping[str, str]) -> dict[str, str]:
    bus = bus_of(dbc)
    counter, crc = trailer([message for name in DBC_NAMES for message in read_dbc(dbc[name]).messages])
    if (counter, crc) != (csc.COUNTER_BIT, 8 * csc.CHECK.position):
        raise ValueError("counter and CRC of the DBC are not where the dialect has them")
    hashes = {name: hashlib.sha256(dbc[name].encode("ascii")).hexdigest() for name in DBC_NAMES}
    return {
        "sources": "\n".join(f" *   {name}, SHA-256 {value}" for name, value in hashes.items()),
        "hashes": "\n".join(f'#define ESS_{name[:-4].upper()}_DBC_SHA256 "{hashes[name]}"' for name in DBC_NAMES),
        "crc_byte": str(crc // 8),
        "last_covered": str(csc.CHECK.position - 1),
        "counter_byte": str(counter // 8),
        "counter_last": str(COUNTER_PERIOD - 1),
        "counter_na": str(COUNTER_PERIOD),
        "counters": str(COUNTER_PERIOD),
        "poly": f"0x{csc.CRC.poly:02X}",
        "init": f"0x{csc.CRC.init:02X}",
        "slots": str(SLOTS),
        "cells_min": str(csc.CELLS_MIN),
        "cells_max": str(csc.CELLS_MAX),
        "small_cells": str(csc.SMALL_BOARD_CELLS),
        "awake_ms": str(round(board.AWAKE_S * 1000)),
        "boot_ms": str(round(board.BOOT_S * 1000)),
        "slot_xor": _table([int(value) for value in csc.SLOT_XOR]),
        "crc_table": _table([int(value) for value in csc.CRC.table]),
        **_of_messages(bus),
        **_of_payloads(bus),
    }


def _of_messages(bus: Bus) -> dict[str, str]:
    shapes = {**bus.large, **bus.small}
    cycles = {shape.payload: shape.cycle_ms for shape in bus.shapes}
    rows = [
        ", ".join(f"0x{layout[name].base:03X}" if name in layout else "0" for name in bus.names)
        for layout in (bus.small, bus.large)
    ]
    return {
        "messages": "\n".join(f"    ESS_CSC_{name.upper()}," for name in bus.names),
        "cycles": "\n".join(f"#define ESS_CSC_{name.upper()}_CYCLE_MS {ms}u" for name, ms in cycles.items()),
        "bases": ",\n".join(f"    {{{row}}}" for row in rows),
        "first_cells": ", ".join(str(shapes[name].first_cell) for name in bus.names),
    }


def _of_payloads(bus: Bus) -> dict[str, str]:
    fields = {field.stem: field for payload in bus.payloads for field in payload.fields}
    bounded = [field for field in fields.values() if field.not_available is not None]
    helpers = [pair for field in bounded for pair in _helpers(field)]
    return {
        "places": str(len(fields["cell_voltage"].starts)),
        "missing": "\n".join(f"#define {_na(field)} 0x{field.not_available:X}u" for field in bounded),
        "structs": "\n\n".join(_struct(bus, payload) for payload in bus.payloads),
        "helper_heads": "\n".join(f"{head};" for head, _ in helpers),
        "helpers": "\n\n".join(f"{head}\n{{\n    {body}\n}}" for head, body in helpers),
        "heads": "\n".join(f"{head};" for payload in bus.payloads for head in _heads(payload)),
        "bodies": "\n\n".join(body for payload in bus.payloads for body in _bodies(payload)),
    }


def _struct(bus: Bus, payload: Payload) -> str:
    shape = next(shape for shape in bus.shapes if shape.payload == payload.name)
    way = "module to master" if payload.from_module else "master to module"
    title = payload.name.removesuffix(PHEV).replace("_", " ").capitalize()
    layout = ", PHEV layout" if payload.name.endswith(PHEV) else ""
    about = textwrap.fill(
        f"/* {title}{layout}: {way}, each {shape.cycle_ms} ms. {shape.comment}".rstrip() + " */",
        116,
        subsequent_indent=" * ",
    )
    members = [f"    {_type(field)} {field.name}{_extent(field)};{_note(field)}" for field in payload.fields]
    return "\n".join([about, "typedef struct {", *members, f"}} ess_csc_{payload.name}_t;"])


def _note(field: Field) -> str:
    notes = [f"{field.unit} + {-field.offset}"] if field.offset else []
    notes += [f"{_na(field)}: not available"] if field.not_available is not None else []
    return f" /* {'; '.join(notes)} */" if notes else ""


def _helpers(field: Field) -> Iterator[tuple[str, str]]:
    """Head and body of the conversions of a field: bounded to what is no "not available"."""
    unit = "c" if field.unit == "degC" else field.suffix[1:]
    yield (
        f"{_type(field)} ess_csc_{field.stem}_from_{unit}(int32_t {unit})",
        f"return ({_type(field)})code_of({unit}, {-field.offset}, {_na(field)} - 1u);",
    )
    if field.offset:
        yield (
            f"int16_t ess_csc_{field.stem}_to_{unit}({_type(field)} code)",
            f"return (int16_t)((int16_t)code - {-field.offset});",
        )


def _heads(payload: Payload) -> tuple[str, str]:
    kind = f"ess_csc_{payload.name}"
    return (
        f"void ess_csc_pack_{payload.name}(const {kind}_t *values, ess_csc_frame_t *frame)",
        f"void ess_csc_unpack_{payload.name}(const ess_csc_frame_t *frame, {kind}_t *values)",
    )


def _bodies(payload: Payload) -> Iterator[str]:
    pack, unpack = _heads(payload)
    count = max(len(field.starts) for field in payload.fields)
    index = ["    uint32_t index;", ""] if count > 1 else []
    put = [line for field in payload.fields for line in _looped(field, _put(field))]
    taken = [line for field in payload.fields for line in _looped(field, _take(field))]
    yield "\n".join([pack, "{", *index, "    clear(frame);", *put, "}"])
    yield "\n".join([unpack, "{", *index, *taken, "}"])


def _looped(field: Field, line: str) -> list[str]:
    if len(field.starts) == 1:
        return [f"    {line}"]
    return [f"    for (index = 0u; index < {len(field.starts)}u; index++) {{", f"        {line}", "    }"]


def _put(field: Field) -> str:
    member = f"values->{_member(field)}"
    if field.bits == 1:
        member = f"{member} ? 1u : 0u"
    elif field.bits < field.bits_of_type:
        member = f"at_most({member}, {_na(field)})"
    return f"put(frame->data, {_place(field)}, {field.bits}u, {member});"


def _take(field: Field) -> str:
    taken = f"take(frame->data, {_place(field)}, {field.bits}u)"
    taken = f"{taken} != 0u" if field.bits == 1 else taken if field.bits == 32 else f"({_type(field)}){taken}"
    return f"values->{_member(field)} = {taken};"


def _member(field: Field) -> str:
    return field.name + ("[index]" if len(field.starts) > 1 else "")


def _place(field: Field) -> str:
    first = field.starts[0]
    if len(field.starts) == 1:
        return f"{first}u"
    step = field.starts[1] - first
    if field.starts != tuple(range(first, first + step * len(field.starts), step)):
        raise ValueError(f"{field.name}: its places {field.starts} are not evenly spaced")
    return f"{first}u + ({step}u * index)" if first else f"{step}u * index"


def _type(field: Field) -> str:
    return _TYPES[field.bits_of_type]


def _extent(field: Field) -> str:
    return f"[{len(field.starts)}]" if len(field.starts) > 1 else ""


def _na(field: Field) -> str:
    return f"ESS_CSC_{field.stem.upper()}_NA"


def _table(values: list[int]) -> str:
    rows = [values[at : at + 16] for at in range(0, len(values), 16)]
    return ",\n".join("    " + ", ".join(f"0x{value:02X}" for value in row) for row in rows)
