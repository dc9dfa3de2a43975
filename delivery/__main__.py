"""Preview, apply or compare the stacks on Azure, and tell it in Markdown.

The report goes to `--report`, and to the summary of the run in a workflow. Everything else (the
state's address, who you are) is Pulumi's and Azure's own: docs/implementation-guide.md.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from delivery.events import Run
from delivery.pulumi import SETTINGS, DeliveryError, Outcome, run, settings_file
from delivery.report import LIMIT, report

_REFRESH = "--refresh"
_UP = ("--yes", "--skip-preview")


def main() -> int:
    """Run one command; return the exit status: 0 done, 1 failed."""
    options = _parser().parse_args()
    os.chdir(root := Path(__file__).resolve().parents[1])
    commands = {"preview": _preview, "apply": _apply, "drift": _drift}
    return commands[options.command](root, options)


def _preview(root: Path, options: argparse.Namespace) -> int:
    outcome = _guarded(root, options.stack, _given(options), "preview", *_refresh(options))
    title = f"Preview of {options.stack}"
    _publish(options, report(title, outcome.run, failed=bool(outcome.status), reason=_why(options)))
    _output("digest", outcome.run.digest)
    return _status(outcome)


def _apply(root: Path, options: argparse.Namespace) -> int:
    if options.approved is not None:
        planned = _planned_anew(root, options)
        if planned.status:
            _publish(options, report(f"{options.stack}: not applied", planned.run, failed=True))
            return 1
    outcome = _guarded(root, options.stack, _given(options), "up", *_UP, *_refresh(options))
    title = f"{options.stack}: {'failed half-way' if outcome.status else 'applied'}"
    _publish(options, report(title, outcome.run, failed=bool(outcome.status), reason=_why(options)))
    return _status(outcome)


def _planned_anew(root: Path, options: argparse.Namespace) -> Outcome:
    """Plan again; another plan than the one that was approved is a failure."""
    if not options.approved:
        refusal = (
            "--approved is empty, so nothing was approved: give the digest of a preview's plan"
        )
        sys.stderr.write(f"error: {refusal}\n")
        return Outcome(status=1, run=Run(errors=(refusal,)))
    planned = _guarded(root, options.stack, _given(options), "preview", *_refresh(options))
    if planned.status or planned.run.digest == options.approved:
        return planned
    refusal = (
        "This is no longer the plan that was approved, so nothing was applied: run the "
        "workflow again, and approve what it shows then."
    )
    return Outcome(status=1, run=Run(errors=(refusal,), changes=planned.run.changes))


def _drift(root: Path, options: argparse.Namespace) -> int:
    outcomes = {stack: _guarded(root, stack, {}, "preview", _REFRESH) for stack in SETTINGS}
    limit = LIMIT // len(SETTINGS)
    told = [
        report(stack, outcome.run, failed=bool(outcome.status), limit=limit)
        for stack, outcome in outcomes.items()
    ]
    _publish(options, "\n".join(told))
    seen = [outcome.run for outcome in outcomes.values() if outcome.status == 0]
    drifted = any(each.changes or each.moved for each in seen)
    _output("state", "drifted" if drifted else "clean" if len(seen) == len(SETTINGS) else "unknown")
    return max(map(_status, outcomes.values()))


def _guarded(
    root: Path, stack: str, given: Mapping[str, str], command: str, *options: str
) -> Outcome:
    """Run a command; whatever stops it before it begins is an outcome too, and is reported."""
    try:
        with settings_file(root, stack, given) as settings:
            return run(command, stack, settings, options=options)
    except (DeliveryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return Outcome(status=1, run=Run(errors=(str(error),)))


def _given(options: argparse.Namespace) -> dict[str, str]:
    return {key: value for key, _, value in (each.partition("=") for each in options.set)}


def _refresh(options: argparse.Namespace) -> list[str]:
    return [_REFRESH] if options.refresh else []


def _why(options: argparse.Namespace) -> str:
    return _given(options).get("releaseReason", "")


def _publish(options: argparse.Namespace, text: str) -> None:
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(text, encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text)


def _output(name: str, value: str) -> None:
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        with Path(outputs).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


def _status(outcome: Outcome) -> int:
    return 1 if outcome.status else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--report", type=lambda text: Path(text).resolve(), help="a file to write")
    stack = argparse.ArgumentParser(add_help=False, parents=[shared])
    stack.add_argument("stack", choices=list(SETTINGS))
    stack.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting that holds until another run sets it; an empty value takes it away: "
        + "; ".join(f"{name}: {', '.join(keys)}" for name, keys in SETTINGS.items()),
    )
    stack.add_argument(
        _REFRESH,
        action="store_true",
        help="look first at what the cloud has, and put right what differs",
    )
    commands.add_parser("preview", parents=[stack], help="say what an apply would do")
    apply = commands.add_parser("apply", parents=[stack], help="bring the stack in line")
    apply.add_argument("--approved", help="the digest that a preview gave its plan")
    commands.add_parser("drift", parents=[shared], help="compare cloud and program, every stack")
    return parser


if __name__ == "__main__":
    sys.exit(main())
