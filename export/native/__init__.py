"""One small program that runs a .pte without Python, for this host, ARM64 and phones."""
