"""Pages that are made from the tables are what the tables say. AREX_UPDATE_DOCS=1 writes them anew."""
import os
import pathlib

import pytest

import arex

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"


def errors_page():
    lines = ["# Errors and warnings", "", "Every diagnostic has a code that stays the same. This page is made from `grammar/diag.def`; `arex list errors` prints it too.", ""]
    for e in arex.list("errors"):
        lines += [f"## {e['code']}: {e['title']}", "", f"{e['help']}" + (" (A warning.)" if e["severity"] == "warning" else ""), ""]
    return "\n".join(lines[:-1]) + "\n"


@pytest.mark.skipif(not DOCS.exists(), reason="no documents here")
@pytest.mark.parametrize("name, page", [("errors.md", errors_page)])
def test_page(name, page):
    if os.environ.get("AREX_UPDATE_DOCS"):
        (DOCS / name).write_text(page())
    assert (DOCS / name).read_text() == page(), f"docs/{name} is out of date: AREX_UPDATE_DOCS=1 ./dev test"
