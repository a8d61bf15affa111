"""`arex` and `python -m arex`: the command, which is a program of its own beside the library, in place of this process."""
import os
import sys
from pathlib import Path

_here = Path(__file__).resolve().parent


def command() -> Path | None:
    """Where the command is: in the package, in a bundle, or where it was built."""
    places = [_here / "bin/arex", _here.parent.parent / "bin/arex", _here.parent.parent / "build/release/src/cli/arex"]
    return next((p for p in places if os.access(p, os.X_OK) and p.is_file()), None)


def main() -> int:
    found = command()
    if found is None:
        print(f"arex: the command is not beside the package in {_here}", file=sys.stderr)
        return 3
    sys.stdout.flush()
    os.execv(found, ["arex", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
