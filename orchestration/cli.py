"""The `selfish` command: its verbs, and how errors and signals become one line and an exit code.

Exit codes: 0 done; 1 some trials failed or are unfinished, or something did not work; 2 the input is wrong; 130 stopped
by Ctrl-C, 143 by SIGTERM. Answers go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from orchestration.processes import Stopped, raise_stopped
from orchestration.terminal import clean, say
from orchestration.verbs import (
    about,
    cluster,
    control,
    evaluate,
    figures,
    keeping,
    report,
    run,
    shrink,
    stored,
    sweep,
    tables,
    tracing,
    watching,
)
from selfish_core.errors import InterruptedRunError, SelfishError

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for any wrong use of the command line."""

app = typer.Typer(
    name="selfish",
    help="Run sweeps of sparse recurrent networks: a YAML spec in, a table out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
VERBS: dict[str, Callable[..., int | None]] = {
    "plan": sweep.plan,
    "run": run.run,
    "train": run.train,
    "submit": cluster.submit,
    "status": watching.status,
    "logs": watching.logs,
    "stop": control.stop,
    "cancel": control.cancel,
    "pause": control.pause,
    "resume": control.resume,
    "retry": control.retry,
    "table": tables.table,
    "figure": figures.figure,
    "report": report.report,
    "explain": tracing.explain,
    "diff": tracing.diff,
    "list": stored.list_,
    "show": stored.show,
    "evaluate": evaluate.evaluate,
    "shrink": shrink.shrink,
    "verify": tracing.verify,
    "export": stored.export,
    "import": stored.import_,
    "sync": stored.sync,
    "gc": keeping.gc,
    "up": cluster.up,
    "down": cluster.down,
    "ui": about.ui,
    "schema": about.schema,
    "doctor": about.doctor,
}
for name, verb in VERBS.items():
    app.command(name)(verb)


@app.callback()
def command(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001
) -> None:
    """Do what comes before every verb; `main` has already looked for `--debug` anywhere on the line."""
    from selfish_core.catalogue.extensions import installed

    for extension in installed():
        if extension.problem:
            say(f"warning: {extension.warning}")


def main() -> NoReturn:
    """Run the command line of this process and end it."""
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, raise_stopped)
    logging.basicConfig(level=logging.WARNING, handlers=[Lines()])
    arguments, is_debug = _without_debug(sys.argv[1:])
    try:
        code = call(arguments)
    except Exception as error:
        if is_debug:
            raise
        code = explain(error)
    except Stopped as stopped:
        say("stopped")
        code = stopped.exit_code
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    sys.exit(code)


def call(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are raised."""
    code = typer.main.get_command(app).main(arguments, prog_name="selfish", standalone_mode=False)
    return code if isinstance(code, int) else 0


def explain(error: Exception) -> int:
    """Write an error as one line each on stderr and return its exit code."""
    if isinstance(error, BrokenPipeError):
        _drop_stdout()
        return 1
    if isinstance(error, InterruptedRunError):
        say(str(error))
        return error.exit_code
    if isinstance(error, SelfishError):
        for line in str(error).splitlines() or [type(error).__name__]:
            say(f"error: {line}")
        return error.exit_code
    if isinstance(error, USAGE_ERROR):
        return _explain_usage(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{error.strerror}")
        return 1
    text = " ".join(str(error).split())[:300]
    say(f"error: {type(error).__name__}: {text} (a fault of ours; `selfish --debug …` shows where)")
    return 1


class Lines(logging.Handler):
    """Warnings of the libraries and of our own as single lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        lines = record.getMessage().splitlines() or [""]
        say(f"{record.levelname.lower()}: {lines[0]}")


def _explain_usage(error: Exception) -> int:
    message = str(getattr(error, "format_message", lambda: str(error))())
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "selfish"
    if message.startswith("Usage:"):
        say(message)
    else:
        say(f"error: {' '.join(message.split())} (see `{clean(path)} --help`)")
    return 2


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Take `--debug` out, wherever it stands before a lone `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours = arguments[:end]
    return [argument for argument in ours if argument != "--debug"] + arguments[end:], "--debug" in ours


def _drop_stdout() -> None:
    """Keep Python from failing once more when it flushes a pipe that nobody reads."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
