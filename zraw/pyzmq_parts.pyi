# Nothing to import from Python: see sending.pxd.
