"""Cases that need a real part: a kernel with CAN, booted for them by vcan-run."""
