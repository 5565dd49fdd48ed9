"""What Modbus allows in one request, and how a device's refusal reads in words.

Numbers from the MODBUS Application Protocol Specification V1.1b3, sections 6.3, 6.12 and 7.
"""

from firmware_bridge.frames import Request

READ_HOLDING, WRITE_ONE, WRITE_MANY = 3, 6, 16
MOST_READ, MOST_WRITTEN = 125, 123
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, GATEWAY_SILENT = 1, 2, 3, 4, 11
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledged, still working",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}
NO_ANSWER = "no answer"


def exception_words(code: int) -> str:
    """`exception 2: illegal data address`."""
    return f"exception {code}: {EXCEPTIONS.get(code, 'not in the specification')}"


def request_trouble(request: Request) -> str:
    """Why a request can never go out; empty when it can."""
    if request.is_write:
        size, most = len(request.words), MOST_WRITTEN
        if not all(0 <= word <= 0xFFFF for word in request.words):
            return "a word to write is outside 0..65535"
    else:
        size, most = request.count, MOST_READ
    if not 1 <= size <= most:
        return f"{size} registers in one request, Modbus allows 1..{most}"
    if not 0 <= request.address <= 0x10000 - size:
        return f"registers {request.address}..{request.address + size - 1} are outside 0..65535"
    return ""
