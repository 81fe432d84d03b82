"""Small programs that run exported files without Python, for this host, ARM64 and phones."""
