"""Wires: CAN and Modbus over sockets, adapters and memory, with peers that die, lie and return."""
