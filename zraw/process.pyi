# Nothing to import from Python: see process.pxd.
