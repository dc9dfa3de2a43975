"""Run the program for a person: `make up`, `make preview`, `make down`, `make outputs`."""

import argparse
import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

from engine import lock, project
from engine.choice import choose
from engine.errors import EngineError, UnexpectedError
from engine.runner import EmbeddedRunner
from engine.terminal import say, summary

_COMMANDS = {
    "up": "bring the stack in line with the program",
    "preview": "say what `up` would do, changing nothing",
    "down": "stop and remove everything that the stack made",
    "outputs": "print the stack's outputs as one JSON object, secrets included",
}
_PULUMI = {"up": "up", "preview": "preview", "down": "destroy", "outputs": "stack output"}
_HERE = "local"
"""The stack that lives on this machine; of the others, `make` shows a preview without a cloud."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed."""
    options = _parser().parse_args(arguments)
    root = Path(__file__).resolve().parents[1]
    # Providers and training resolve relative paths against the project, as under Pulumi.
    os.chdir(root)
    try:
        _run(project.load(root, options.stack), options.command, options.engine)
    except EngineError as error:
        if isinstance(error, UnexpectedError):
            traceback.print_exception(error.__cause__)
        say(f"error: {error}", to=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; run again to go on from here", to=sys.stderr)
        return 130
    return 0


def _run(selected: project.Project, command: str, engine: str) -> None:
    if selected.stack != _HERE:
        if command != "preview" or engine == "pulumi":
            raise EngineError(
                f"stack {selected.stack!r} is Azure's: its state is where your team keeps it. Run "
                f"`pulumi {_PULUMI[command]} -s {selected.stack}` (docs/implementation-guide.md)"
            )
        say(
            "engine: embedded (a preview that asks no cloud; the cloud's own answer: "
            f"`pulumi preview -s {selected.stack}`)"
        )
        EmbeddedRunner(selected).preview()
        return
    if command == "outputs":
        runner = choose(selected, engine, may_install=False, quiet=True)
        outputs = runner.outputs()
        if not outputs:
            say("there is nothing to see yet: make up comes first", to=sys.stderr)
        say(json.dumps(outputs, indent=2))
        return
    lock_file = selected.local / f"{selected.stack}.lock"
    with lock.exclusive(lock_file, f"make {command}") as left_by:
        if left_by:
            say(f"the last run was cut short: {left_by}; going on from there")
        runner = choose(selected, engine, may_install=command != "down")
        match command:
            case "preview":
                runner.preview()
            case "down":
                runner.down()
            case _:
                if "apiUrl" in (outputs := runner.up()):
                    say(summary(outputs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description=__doc__,
        epilog="commands: " + "; ".join(f"{name}: {text}" for name, text in _COMMANDS.items()),
    )
    parser.add_argument("command", choices=list(_COMMANDS))
    parser.add_argument("--stack", default="local", help="the stack, as in Pulumi.<stack>.yaml")
    parser.add_argument(
        "--engine",
        default="auto",
        choices=["auto", "embedded", "pulumi"],
        help="who runs the program; auto: whoever holds the stack already, else the pulumi command,"
        " else its official install, else the embedded engine",
    )
    return parser


if __name__ == "__main__":
    status = main()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    # Not sys.exit: the interpreter's own last flush would complain of a reader that has left.
    os._exit(status)
