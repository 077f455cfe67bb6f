"""A report read back as a browser would: elements with their parents and texts, by the standard library's parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    parts: list[Element | str] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        return [part for part in self.parts if isinstance(part, Element)]

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.walk() if element.tag == tag]

    def one(self, tag: str) -> Element:
        found = self.all(tag)
        assert len(found) == 1, f"{len(found)} elements {tag}"
        return found[0]

    def by_id(self, name: str) -> Element:
        found = [element for element in self.walk() if element.attributes.get("id") == name]
        assert len(found) == 1, f"{len(found)} elements of id {name}"
        return found[0]

    @property
    def text(self) -> str:
        """What a reader sees of it, in order."""
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    @property
    def cells(self) -> list[str]:
        """The texts of a row of a table."""
        return [child.text.strip() for child in self.children]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self._at)
        assert len(element.attributes) == len(attrs), f"{tag} has an attribute twice"
        self._at.parts.append(element)
        if tag not in VOID:
            self._at = element

    def handle_endtag(self, tag: str) -> None:
        assert self._at.tag == tag, f"</{tag}> closes <{self._at.tag}>"
        assert self._at.parent is not None
        self._at = self._at.parent

    def handle_data(self, data: str) -> None:
        self._at.parts.append(data)

    def result(self) -> Element:
        assert self._at is self.root, f"<{self._at.tag}> is not closed"
        return self.root


def read(html: str) -> Element:
    """Return the root of a page whose elements all close in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.result()
