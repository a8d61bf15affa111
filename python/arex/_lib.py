"""Finds libarex.so and declares it: by what was made of the public header when it was built, else from the header as it stands. Finds the
extension that makes calls short, if there is one."""
import importlib.machinery
import importlib.util
import os
from pathlib import Path

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


library_path = _library()


def _fits(path):
    """Is the file's ending one that this Python loads by? A free-threaded one has other objects than the stable ABI counts on, and would load
    such a file all the same: every .so is one to its importer."""
    ending = path.name[path.name.index("."):]
    return ending == ".py" or ending in importlib.machinery.EXTENSION_SUFFIXES


def _built(pattern, name):
    """A module that the build made: in the package, or where the library was built; None where there is none, or AREX_EXTENSION is 0."""
    if os.environ.get("AREX_EXTENSION") == "0":
        return None
    for path in [p for folder in (_here, library_path.parent / "python/arex") for p in sorted(folder.glob(pattern)) if _fits(p)]:
        spec = importlib.util.spec_from_file_location(name, path)
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        except ImportError:  # made for another Python, or another cffi
            continue
    return None


def _declared():
    made = _built("_cffi.py", "arex._cffi")
    if made:
        return made.ffi
    import cffi
    from_header = cffi.FFI()
    from_header.cdef(_header().read_text())
    return from_header


ffi = _declared()
lib = ffi.dlopen(str(library_path))
extension = _built("_fast.*.so", "arex._fast")
