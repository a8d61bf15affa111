"""Long calls: Ctrl-C ends them, a progress bar follows them, and what the library has to tell goes to logging."""
import logging
import threading
from typing import Any, Callable, Optional

from ._lib import ffi

_here = threading.local()  # of a thread: what ended its call (raised), the progress that follows its calls (bars)


def _keep(_kind, value, _traceback):
    _here.raised = value


@ffi.callback("int(void *, double)", error=1, onerror=_keep)
def look(_user, done):
    """Asked some times a second, on the thread that called: while Python's own code runs here, signals are handled."""
    bars = getattr(_here, "bars", None)
    for _ in (0, 1):
        pass
    if bars is not None:
        bars._tell(done)
    return 0


def raised():
    """Raises what ended the call at hand, if that was an exception."""
    value, _here.raised = getattr(_here, "raised", None), None
    if value is not None:
        raise value.with_traceback(None)


def _silent(*_about):
    """An exception in a handler of logging's is that handler's affair."""


@ffi.callback("void(void *, int, const char *)", onerror=_silent)
def tell(_user, level, message):
    logging.getLogger("arex").log(logging.INFO if level else logging.ERROR, "%s", ffi.string(message).decode("utf-8", "replace"))


class progress:
    """with arex.progress(tqdm): ...: calls of this thread that last show how far they are. bar: what makes a bar, with tqdm's arguments and
    methods (total, unit; update, close); tqdm's own when it is left out. options: more arguments for it, such as desc."""

    def __init__(self, bar: Optional[Callable[..., Any]] = None, **options: Any) -> None:
        if bar is None:
            from tqdm.auto import tqdm
            bar = tqdm
        self._make, self._options = bar, {"total": 100, "unit": "%", **options}
        self._bar, self._shown, self._before = None, 0, None

    def __enter__(self) -> "progress":
        self._before, _here.bars = getattr(_here, "bars", None), self
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        _here.bars = self._before
        self._close(whole=kind is None)

    def _tell(self, done):
        percent = int(100 * done)
        if percent < self._shown:  # another call
            self._close(whole=True)
        if self._bar is None:
            self._bar, self._shown = self._make(**self._options), 0
        self._bar.update(percent - self._shown)
        self._shown = percent

    def _close(self, whole):
        bar, self._bar = self._bar, None
        if bar is None:
            return
        if whole:
            bar.update(100 - self._shown)
        bar.close()
        self._shown = 0
