"""Writes the declarations of the public header as cffi reads them, at build time: python declare.py api.h _cffi.py. Reading the header takes
longer than all the rest of an import."""
import sys

import cffi

ffi = cffi.FFI()
with open(sys.argv[1]) as header:
    ffi.cdef(header.read())
ffi.set_source("arex._cffi", None)
ffi.emit_python_code(sys.argv[2])
