# Nothing to import from Python: see endpoint.pxd.
