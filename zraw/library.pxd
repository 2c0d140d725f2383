# Nothing here is meant for cimport: libzmq.pxd has the functions themselves.
