import os
import signal
import subprocess
from pathlib import Path

import pytest

import arex


def _command():
    if os.environ.get("AREX_COMMAND"):
        return os.environ["AREX_COMMAND"]
    return str(Path(__file__).resolve().parents[2] / "build/release/src/cli/arex")


# AREX_CODEGEN: who makes a GPU's code where a test does not say
if os.environ.get("AREX_CODEGEN"):
    arex.program.CODEGENS["auto"] = arex.program.CODEGENS[os.environ["AREX_CODEGEN"]]


# workers of pytest-xdist ignore Ctrl-C, and so would what they start
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def command():
    return _command()


@pytest.fixture(scope="session")
def cli():
    def run(*args, stdin=None):
        return subprocess.run([_command(), *map(str, args)], capture_output=True, text=True, input=stdin, timeout=300)  # the driver compiles a whole corpus anew where its cache is cold
    return run


@pytest.fixture(scope="session")
def targets():
    return ["reference", "cpu"] + (["cuda"] if arex.device_count() else [])
