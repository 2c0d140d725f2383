# Nothing to import from Python: see option.pxd.
