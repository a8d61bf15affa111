"""Locks that a forked process finds open, whatever other threads held when it was made; and what is kept by when it was last asked for, safe
without the GIL too."""
import collections
import os
import sysconfig
import threading
import weakref
from typing import Any

_all: "weakref.WeakSet[Any]" = weakref.WeakSet()


def lock() -> Any:
    """A lock that one thread may take several times."""
    made = threading.RLock()
    _all.add(made)
    return made


def _open_all() -> None:
    for made in list(_all):
        made._at_fork_reinit()


os.register_at_fork(after_in_child=_open_all)


class _Locked(collections.OrderedDict):
    """Its order is a list that only the GIL, or this lock, keeps whole. A fork waits for it: without the GIL Python has a lock of its own in every
    dict, which a child would find as another thread held it."""

    def __init__(self) -> None:
        self._lock = lock()
        super().__init__()
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release)

    def get(self, key: Any, default: Any = None) -> Any:
        with self._lock:
            return super().get(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        with self._lock:
            super().__setitem__(key, value)

    def move_to_end(self, key: Any, last: bool = True) -> None:
        with self._lock:
            super().move_to_end(key, last)

    def popitem(self, last: bool = True) -> Any:
        with self._lock:
            return super().popitem(last)


Recent: Any = _Locked if sysconfig.get_config_var("Py_GIL_DISABLED") else collections.OrderedDict
