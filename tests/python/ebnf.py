"""The grammar in EBNF, from grammar/parser.y and the tokens of grammar/lexer.re: rules without their actions, lists as { }, what may be missing as [ ]."""
import re

HIDDEN = {"LATER", "error"}  # alternatives for messages, no part of the language
WORDS = {"NAME": "name", "INT": "integer", "FLOAT": "decimal", "IMAG": "imaginary", "NEWLINE": "newline"}


def tokens(lexer):
    """How each token is spelled."""
    spelled = {}
    for text, token in re.findall(r'^        ((?:"[^"]+"(?: \| )?)+) +\{ return (?:TOKEN|KEYWORD)\((?:inside_expression\(p\) \? INNER_SEMICOLON : )?(\w+)', lexer, re.M):
        spelled.setdefault(token, []).extend(re.findall(r'"[^"]+"', text))
    return {token: " | ".join(spellings) for token, spellings in spelled.items()} | WORDS


def without_actions(text):
    out, depth, i = [], 0, 0
    while i < len(text):
        quoted = re.match(r"'.'", text[i:])
        if quoted:
            out.append(quoted[0] if not depth else "")
            i += 3
            continue
        depth += text[i] == "{"
        out.append(text[i] if not depth else "")
        depth -= text[i] == "}"
        i += 1
    return re.sub(r"/\*.*?\*/", "", "".join(out), flags=re.S)


def rules(parser):
    """Name -> alternatives, each a list of symbols."""
    found = {}
    for name, body in re.findall(r"(\w+):((?:'.'|[^;'])*);", without_actions(parser.split("\n%%\n")[1])):
        alternatives = [re.findall(r"'.'|%?\w+", a) for a in re.split(r"(?<!')\|(?!')", body)]
        found[name] = [[s for s in a if s != "%empty"] for a in alternatives if not HIDDEN & set(a)]
    return found


def symbol(s, spelled):
    if s in spelled:
        return spelled[s] if " | " not in spelled[s] else f"( {spelled[s]} )"
    return f'"{s[1]}"' if s.startswith("'") else s


def sequence(symbols, spelled):
    return " ".join(symbol(s, spelled) for s in symbols)


def right_side(name, alternatives, spelled):
    first = [a for a in alternatives if not a or a[0] != name]
    more = [sequence(a[1:], spelled) for a in alternatives if a and a[0] == name and len(a) > 1]
    some = [sequence(a, spelled) for a in first if a]
    text = " | ".join(some)
    if more:
        text = (f"( {text} )" if len(some) > 1 else text) + (" " if some else "") + "{ " + " | ".join(more) + " }"
    elif [] in first:
        text = f"[ {text} ]"
    return text


def wrapped(name, text, width=128):
    head, lines = f"{name} = ", []
    for word in text.split(" "):
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += " " + word
        else:
            lines.append((" " * 8 if lines else head) + word)
    return "\n".join("    " + line for line in lines) + " ."


def grammar(parser, lexer):
    spelled = tokens(lexer)
    return "\n".join(wrapped(name, right_side(name, alternatives, spelled)) for name, alternatives in rules(parser).items()) + "\n"
