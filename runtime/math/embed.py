"""Writes the math library as C data: the text of every file, and an index of its functions sorted by name.

Usage: embed.py OUTPUT.c FILE.arex...
A function's text runs from its `def`, at the start of a line, to the next one; so each can be parsed alone.
"""
import os
import re
import sys


def c_bytes(data):
    lines = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    return ",\n    ".join(lines + ["0"])


def functions(number, data):
    found = list(re.finditer(rb"^def\s+([A-Za-z_][A-Za-z0-9_]*)", data, re.M))
    ends = [m.start() for m in found[1:]] + [len(data)]
    return [(m.group(1).decode(), number, m.start(), end - m.start()) for m, end in zip(found, ends)]


def main():
    output, files = sys.argv[1], sorted(sys.argv[2:])
    texts, table, index = [], [], []
    for number, path in enumerate(files):
        with open(path, "rb") as f:
            data = f.read()
        name = os.path.splitext(os.path.basename(path))[0]
        texts.append(f"static const char text_{number}[] = {{\n    {c_bytes(data)}}};\n")
        table.append(f'    {{"{name}", text_{number}, {len(data)}}},\n')
        index += functions(number, data)
    index.sort(key=lambda row: row[0].encode())
    for a, b in zip(index, index[1:]):
        if a[0] == b[0]:
            sys.exit(f"embed.py: the function {a[0]} is defined twice")
    rows = "".join(f'    {{"{n}", {f}, {b}, {s}}},\n' for n, f, b, s in index)
    with open(output, "w") as f:
        f.write('/* Made by runtime/math/embed.py. */\n#include "sema/sema.h"\n#include "sema/library.h"\n\n')
        f.write("".join(texts))
        f.write(f"\nconst struct math_file math_files[] = {{\n{''.join(table)}}};\n")
        f.write(f"const unsigned n_math_files = {len(files)};\n")
        f.write(f"\nconst struct math_function math_functions[] = {{\n{rows}}};\n")
        f.write(f"const unsigned n_math_functions = {len(index)};\n")


if __name__ == "__main__":
    main()
