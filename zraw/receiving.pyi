# Nothing to import from Python: see receiving.pxd.
