# Nothing to import from Python: see polling.pxd.
