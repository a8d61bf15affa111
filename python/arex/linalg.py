"""arex.linalg: what there is of numpy.linalg, by its names; the rest is an error that tells the way round."""
from typing import Any

from .array import _refusal
from .composed import LINALG as _LINALG


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in _LINALG:
        raise AttributeError(_refusal(f"numpy.linalg.{name}"))
    return _LINALG[name]


def __dir__() -> list[str]:
    return sorted(_LINALG)
