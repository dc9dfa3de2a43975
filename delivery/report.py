"""A run told in Markdown: for a comment, an approver's summary, or an issue."""

from collections import Counter
from collections.abc import Iterable, Sequence

from delivery.events import Change, Release, Run

__all__ = ["LIMIT", "code", "report"]

LIMIT = 60_000
"""Characters: GitHub refuses a comment or an issue of more than 65,536."""
_SHOWN = 150
_HEADLINES = ("cv_roc_auc", "cv_average_precision", "cv_brier", "cv_ece", "fairness_four_fifths")


def report(title: str, run: Run, *, failed: bool, reason: str = "", limit: int = LIMIT) -> str:
    """Tell what a run would do, or did, in at most `limit` characters.

    `failed` says that it did not end well: what is listed is how far it came.
    """
    parts = [f"### {title}"]
    if reason:
        parts.append(f"Reason: {code(reason)}")
    if failed:
        parts.append("**Failed.** What is listed below is how far it came.")
    parts += [_block(error) for error in run.errors]
    if run.release:
        parts.append(_release(run.release))
    if run.policies:
        parts.append(_list("Policies", run.policies))
    if run.moved:
        parts.append(_table("Changed in the cloud itself, since the last `up`", run.moved))
    if run.changes:
        parts.append(_table(_counts(run.changes), run.changes))
    elif not failed:
        parts.append("Nothing to do: the stack is what the program says.")
    return _within(limit, "\n\n".join(parts)) + "\n"


def code(text: str) -> str:
    """Show text as it is: as code it mentions nobody, links nowhere and breaks no table."""
    shown = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`"


def _release(release: Release) -> str:
    name = f"**Release {release.version}**" if release.version else "**No release**"
    lines = [f"{name}{', image ' + code(release.image) if release.image else ''}"]
    shown = [name for name in _HEADLINES if name in release.figures]
    if shown:
        lines.append("")
        lines.append(f"| {' | '.join(shown)} |")
        lines.append(f"|{' --- |' * len(shown)}")
        lines.append(f"| {' | '.join(f'{release.figures[name]:.4f}' for name in shown)} |")
    if rest := sorted(release.figures.keys() - set(shown)):
        others = ", ".join(f"{name} {release.figures[name]:.4f}" for name in rest)
        lines += ["", f"<details><summary>All figures</summary>\n\n{others}\n</details>"]
    if release.verdicts:
        lines += ["", _list("Gates", release.verdicts)]
    return "\n".join(lines)


def _list(title: str, texts: Iterable[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {code(text)}" for text in texts)])


def _table(title: str, changes: Sequence[Change]) -> str:
    rows = [
        f"| {each.operation} | {code(each.name)} | {each.kind} | {', '.join(each.keys)} |"
        for each in changes[:_SHOWN]
    ]
    if len(changes) > _SHOWN:
        rows.append(f"| … | and {len(changes) - _SHOWN} more | | |")
    head = ["| operation | resource | kind | differs in |", "| --- | --- | --- | --- |"]
    return "\n".join([f"**{title}**", "", *head, *rows])


def _counts(changes: Iterable[Change]) -> str:
    counted = Counter(each.operation for each in changes)
    return ", ".join(f"{number} to {operation}" for operation, number in counted.items())


def _block(text: str) -> str:
    # A fence longer than any in the text, so that the text cannot end it.
    fence = "`" * 6
    inside = text.replace(fence, "'" * 6)
    return f"{fence}text\n{inside}\n{fence}"


def _within(limit: int, text: str) -> str:
    end = "\n\n… the rest is in the run's log"
    return text if len(text) <= limit else text[: limit - len(end)] + end
