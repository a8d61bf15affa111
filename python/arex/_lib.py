"""Finds libarex.so and declares it from the public header as it stands; finds the extension that makes calls short, if there is one."""
import importlib.util
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


def _extension():
    """The module arex._fast: in the package, or where the library was built; None where there is none, or AREX_EXTENSION is 0."""
    if os.environ.get("AREX_EXTENSION") == "0":
        return None
    places = [p for folder in (_here, library_path.parent / "python/arex") for p in sorted(folder.glob("_fast.*.so"))]
    for path in places:
        spec = importlib.util.spec_from_file_location("arex._fast", path)
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        except ImportError:  # made for another Python
            continue
    return None


extension = _extension()
