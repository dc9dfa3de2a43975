"""Markdown as the tests of the documents read it: headings, links, tables, blocks of code."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code, and the heading it is under."""

    heading: str
    language: str
    code: str


@dataclass(frozen=True)
class Document:
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> Sequence[Block]:
        return [
            Block(
                re.findall(r"^#+ (.+)$", _FENCE.sub("", self.text[: found.start()]), re.MULTILINE)[
                    -1
                ],
                found[2],
                re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE),
            )
            for found in _FENCE.finditer(self.text)
        ]

    @cached_property
    def anchors(self) -> set[str]:
        """The headings as GitHub makes anchors of them."""
        seen = Counter[str]()
        anchors: set[str] = set()
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return anchors

    @property
    def links(self) -> Iterator[str]:
        yield from _LINK.findall(_CODE.sub("", self.prose))

    @property
    def code(self) -> Iterator[str]:
        """What stands in backticks, across a line's end too."""
        for paragraph in re.split(r"\n\s*\n", self.prose):
            yield from _CODE.findall(re.sub(r"\s*\n\s*", " ", paragraph))

    def table(self, *header: str) -> list[tuple[str, ...]]:
        """The rows of the one table that has this header."""
        found = [rows for names, rows in self._tables() if names == header]
        assert len(found) == 1, f"{len(found)} tables of {header} in {self.path.name}"
        return found[0]

    def _tables(self) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
        for lines in re.findall(r"(?:^ *\|.*\|\n)+", self.prose, re.MULTILINE):
            names, _rule, *rows = [
                tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
                for line in lines.splitlines()
            ]
            yield names, rows


def bare(cell: str) -> str:
    """A cell without its backticks."""
    return cell.replace("`", "")
