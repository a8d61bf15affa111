"""For IPython and Spyder's console: %load_ext arex, then %arex, %%arex and %arex_doctor."""
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from .errors import ArexError, did_you_mean
from .evaluating import _cached


@magics_class
class ArexMagics(Magics):
    """Programs over the names of the session."""

    def _run(self, text):
        """(program, results), or None after saying what is wrong, as the compiler does: with the line and a caret."""
        try:
            program = _cached(text)
            missing = [name for name in program.inputs if name not in self.shell.user_ns]
            if missing:
                raise ArexError(f"no value for {', '.join(missing)}{did_you_mean(missing[0], self.shell.user_ns)}", "AX0304")
            results = program(**{name: self.shell.user_ns[name] for name in program.inputs})
        except ArexError as error:
            print(error.text)
            return None
        return program, results if isinstance(results, tuple) else (results,)

    @line_magic
    def arex(self, line):
        """%arex sum(x*x): the value of an expression over the names of the session."""
        ran = self._run(line)
        return None if ran is None else ran[1] if len(ran[1]) > 1 else ran[1][0]

    @cell_magic("arex")
    def arex_cell(self, line, cell):
        """%%arex: a program; its inputs are names of the session, its named outputs become such names. An unnamed one is shown."""
        ran = self._run(cell)
        if ran is None:
            return None
        program, results = ran
        self.shell.push({name: value for name, value in zip(program.outputs, results) if name})
        unnamed = [value for name, value in zip(program.outputs, results) if not name]
        return None if not unnamed else unnamed[0] if len(unnamed) == 1 else tuple(unnamed)

    @line_magic
    def arex_doctor(self, _line):
        """%arex_doctor: what this machine offers to Arex, and what is missing."""
        from . import show_config
        show_config()
