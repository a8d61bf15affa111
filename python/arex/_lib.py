"""Finds libarex.so and declares it from the public header as it stands."""
import os
from pathlib import Path

import cffi

_here = Path(__file__).resolve().parent


def _first(candidates, what):
    for path in candidates:
        if path.is_file():
            return path
    raise ImportError(f"{what} not found; set AREX_LIBRARY to the path of libarex.so. Looked at: "
                      + ", ".join(str(p) for p in candidates))


def _library():
    if os.environ.get("AREX_LIBRARY"):
        return _first([Path(os.environ["AREX_LIBRARY"])], "libarex.so")
    folders = [_here, _here.parent.parent / "lib", _here.parent.parent / "build/release/src/api"]
    return _first([f / n for f in folders for n in ("libarex.so.0", "libarex.so")], "libarex.so")


def _header():
    return _first([_here / "api.h", _here.parent.parent / "include/arex/api.h"], "arex/api.h")


header_path = _header()
library_path = _library()
ffi = cffi.FFI()
ffi.cdef(header_path.read_text())
lib = ffi.dlopen(str(library_path))
