# Nothing to import from Python: see batch.pxd.
