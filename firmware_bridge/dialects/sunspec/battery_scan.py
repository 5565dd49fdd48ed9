"""Finding a cabinet in a Modbus gateway: the chain of its models, then a roll-call of strings, modules and cells.

The chain is walked header by header, whatever order the gateway lays its models out in; where it goes on as our own map
does, many headers are asked for at once. Then every 804 and 805 says whose it is. What the site file does not expect is
refused in words; another module code is only told, as modules are swapped. The walk is bounded, whatever is answered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from firmware_bridge.dialects.sunspec.battery_map import CELL, MODULE_HEAD, MOST_CELLS, REGISTERS, BatteryMap, offset
from firmware_bridge.dialects.sunspec.model import Events, load_model
from firmware_bridge.dialects.sunspec.scan import AGAIN_S, BASES, END, MARK, TRIES, Place
from firmware_bridge.frames import STALE, Answer, Request

AHEAD = 16  # headers, or members of the roll-call, asked for at once: a slow line carries them out within a second
MORE_MODELS = 100  # that a gateway may have besides those of its cabinet
REFUSED_S = 5.0  # pause after a cabinet that is not the site's

_STRING_ID = offset(804, "NMod") + 1  # ID to NMod
_SN = load_model(805, 0).points["SN"]
_INDEX, _COUNT = offset(804, "Idx"), offset(804, "NMod")
_OF_STRING, _OF_MODULE, _CELLS = (offset(805, name) for name in ("StrIdx", "ModIdx", "NCell"))


@dataclass(frozen=True, slots=True)
class Found:
    """Where the cabinet is."""

    bank: Place
    strings: tuple[Place, ...]  # [string] its 804
    modules: tuple[Place, ...]  # [module] its 805


class BatteryScan:
    """One search through a gateway; `found` when it is the cabinet of the site file."""

    def __init__(self, where: BatteryMap, events: Events) -> None:
        self.found: Found | None = None
        self._map, self._events = where, events
        self._expected = [(model, length) for model, length, _ in where.models]
        self._not_before_s = -inf
        self._begin()

    def restart(self, not_before_s: float) -> None:
        """Forget everything and search again, not before that instant."""
        self.found = None
        self._not_before_s = not_before_s
        self._begin()

    def _begin(self) -> None:
        self._base, self._tries = 0, 0
        self._at: int | None = None  # header to be read next; None while looking for the mark
        self._next = 0  # of the expected models
        self._chain: list[tuple[int, Place]] = []
        self._roll: dict[Request, Place] | None = None  # still to answer
        self._strings: dict[int, Place] = {}
        self._modules: dict[int, Place] = {}

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, now_s: float) -> list[Request]:
        """The next reads, if there are any."""
        if self.found is not None or now_s < self._not_before_s:
            return []
        if self._roll is not None:
            return list(self._roll)[:AHEAD]
        if self._at is None:
            return [Request(BASES[self._base], 2, tag="scan")]
        return [Request(at, 2, tag="scan") for at in self._headers(self._at)]

    def _headers(self, at: int) -> Iterator[int]:
        """The next header, and those after it if the chain goes on as expected."""
        yield at
        for _, length in self._expected[self._next : self._next + AHEAD - 1]:
            at += length + 2
            if at + 2 > REGISTERS:
                return
            yield at

    # --- hearing --------------------------------------------------------------------------------------------------

    def hear(self, answer: Answer, now_s: float) -> None:
        """Take one answer; those to other questions are ignored."""
        request = answer.request
        if self.found is not None or request.tag != "scan":
            return
        good = not answer.trouble and len(answer.words) == request.count
        if self._roll is not None:
            if (place := self._roll.get(request)) is not None:
                self._hear_member(request, place, answer, good, now_s)
        elif self._at is None:
            if request.address == BASES[self._base]:
                self._hear_mark(good and tuple(answer.words) == MARK, answer.trouble, now_s)
        elif request.address == self._at:
            if good:
                self._hear_header(self._at, answer.words[0], answer.words[1], now_s)
            elif self._failed(answer):
                self._refuse(f"the model chain breaks off at register {self._at}: {_trouble(answer)}", now_s)

    def _failed(self, answer: Answer) -> bool:
        """Whether a question has been asked in vain often enough. One that was never asked does not count."""
        self._tries += not answer.trouble.startswith(STALE)
        return self._tries >= TRIES

    def _hear_mark(self, is_mark: bool, trouble: str, now_s: float) -> None:
        if is_mark:
            self._at = BASES[self._base] + len(MARK)
        elif trouble.startswith(STALE):
            self.restart(now_s)
        elif self._base + 1 < len(BASES):
            self._base += 1
        else:
            self._events.tell("scan", f"no SunSpec map at 40000, 50000 or 0: {trouble or 'no SunS mark'}")
            self.restart(now_s + AGAIN_S)

    def _hear_header(self, at: int, model: int, length: int, now_s: float) -> None:
        self._tries = 0
        if model == END:
            self._call_roll(now_s)
        elif length == 0:
            self._refuse(f"model {model} at register {at} says its length is 0", now_s)
        elif at + length + 4 > REGISTERS:
            self._refuse(f"model {model} at register {at} says its length is {length}: beyond the last register", now_s)
        elif len(self._chain) >= len(self._expected) + MORE_MODELS:
            self._refuse(f"more than {len(self._chain)} models and no end mark", now_s)
        else:
            self._chain.append((model, Place(at, length)))
            if (model, length) in self._expected[self._next :]:
                self._next = self._expected.index((model, length), self._next) + 1
            self._at = at + length + 2

    def _refuse(self, reason: str, now_s: float) -> None:
        self._events.tell("scan", f"gateway not used: {reason}")
        self.restart(now_s + REFUSED_S)

    # --- the roll-call --------------------------------------------------------------------------------------------

    def _call_roll(self, now_s: float) -> None:
        where = self._map
        strings, modules = ([place for model, place in self._chain if model == wanted] for wanted in (804, 805))
        if not any(model == 802 and place.length >= load_model(802).length for model, place in self._chain):
            self._refuse("no battery bank in it (model 802)", now_s)
        elif len(strings) != where.strings:
            self._refuse(f"{_count(len(strings), 'string')} in it (804), {where.strings} in the site file", now_s)
        elif len(modules) != where.modules:
            self._refuse(f"{_count(len(modules), 'module')} in it (805), {where.modules} in the site file", now_s)
        elif odd := [place for place in modules if not _fits(place)]:
            self._refuse(
                f"model 805 at register {odd[0].address} is {odd[0].length} long: no 1..{MOST_CELLS} cells", now_s
            )
        elif short := [place for place in strings if place.length < load_model(804, 0).length]:
            self._refuse(f"model 804 at register {short[0].address} is only {short[0].length} long", now_s)
        else:
            members = [(Request(place.address, _STRING_ID, tag="scan"), place) for place in strings]
            members += [(Request(place.address, _SN.offset + _SN.size, tag="scan"), place) for place in modules]
            self._roll = dict(members)

    def _hear_member(self, request: Request, place: Place, answer: Answer, good: bool, now_s: float) -> None:
        roll = self._roll or {}
        if not good:
            if request == next(iter(roll)) and self._failed(answer):  # the others may fail for the same reason
                self._refuse(f"register {place.address} is not answered: {_trouble(answer)}", now_s)
            return
        self._tries = 0
        del roll[request]
        is_string = request.count == _STRING_ID
        refusal = self._string(answer.words, place) if is_string else self._module(answer.words, place)
        if refusal:
            self._refuse(refusal, now_s)
        elif not roll:
            self._finish()

    def _string(self, words: Sequence[int], place: Place) -> str:
        where, string, modules = self._map, words[_INDEX] - 1, words[_COUNT]
        if words[0] != 804 or not 0 <= string < where.strings or string in self._strings:
            return f"model {words[0]} at register {place.address} says string {string + 1}: twice, or no such string"
        if modules != where.string_modules[string]:
            name, expected = where.seat.string_names[string], where.string_modules[string]
            return f"string {name} has {_count(modules, 'module')} in it, {expected} in the site file"
        self._strings[string] = place
        return ""

    def _module(self, words: Sequence[int], place: Place) -> str:
        where, module = self._map, self._map.module_of(words[_OF_STRING] - 1, words[_OF_MODULE] - 1)
        if words[0] != 805 or module < 0 or module in self._modules:
            told = f"string {words[_OF_STRING]}, module {words[_OF_MODULE]}"
            return f"model {words[0]} at register {place.address} says {told}: twice, or no such module"
        cells = where.module_cells[module]
        if words[_CELLS] != cells or place.length + 2 != MODULE_HEAD + CELL * cells:
            return f"module {where.place_name(module)} has {words[_CELLS]} cells in it, {cells} in the site file"
        self._modules[module] = place
        tell_code(where, module, words, self._events)
        return ""

    def _finish(self) -> None:
        bank = next(place for model, place in self._chain if model == 802 and place.length >= load_model(802).length)
        strings = tuple(self._strings[string] for string in range(self._map.strings))
        self.found = Found(bank, strings, tuple(self._modules[module] for module in range(self._map.modules)))
        self._events.tell("scan", f"gateway found: {_count(self._map.strings, 'string')}, {self._map.cells} cells")


def tell_code(where: BatteryMap, module: int, words: Sequence[int], events: Events) -> None:
    """Compare SN, in the head of an 805, with the site file. A gateway that says none is told of, too."""
    raw = b"".join(word.to_bytes(2, "big") for word in words[_SN.offset : _SN.offset + _SN.size])
    said, expected = raw.split(b"\0")[0].decode("ascii", "replace").strip(), where.module_codes[module]
    topic = f"code {module}"
    if said == expected:
        if events.last(topic):
            events.tell(topic, f"{where.place_name(module)}: module code {expected} again")
            events.tell(topic, "")
    else:
        shown = said.encode("ascii", "backslashreplace").decode() if said.isprintable() else ascii(said)
        events.tell(topic, f"{where.place_name(module)}: module code {shown or 'missing'} instead of {expected}")


def _fits(place: Place) -> bool:
    cells, rest = divmod(place.length + 2 - MODULE_HEAD, CELL)
    return rest == 0 and 1 <= cells <= MOST_CELLS


def _trouble(answer: Answer) -> str:
    return answer.trouble or "short answer"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
