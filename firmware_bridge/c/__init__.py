"""The module gateway's firmware side: C99 codec of the module bus, generated from the DBC files, and how to wire it."""
