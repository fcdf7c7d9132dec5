"""The forms of a page as a browser sees them, so that a test can send what a person could, and more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

Fields = list[tuple[str, str]]


@dataclass
class PageForm:
    """A form's method, address and fields with their present values."""

    method: str
    action: str
    fields: Fields = field(default_factory=list)
    # Fields that may hold the id of a row: choices, hidden numbers, buttons with a number.
    links: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def with_each_link_replaced(self, row_id: int) -> Iterator[tuple[str, Fields]]:
        """The form sent with `row_id` in one of its links after the other; of like rows only the first one's."""
        of_like_rows = {re.sub(r"-\d+-", "-#-", name): name for name in sorted(self.links, reverse=True)}
        for name in of_like_rows.values():
            others = [(key, value) for key, value in self.fields if key != name]
            yield name, [*others, (name, str(row_id))]

    def with_each_word_replaced(self, word: str) -> Iterator[tuple[str, Fields]]:
        for name in sorted(self.words):
            yield name, [*((key, value) for key, value in self.fields if key != name), (name, word)]


def forms_of(page: str, *, address: str) -> list[PageForm]:
    parser = _FormParser(address)
    parser.feed(page)
    return parser.forms


class _FormParser(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[PageForm] = []
        self._by_id: dict[str, PageForm] = {}
        self._open: PageForm | None = None
        self._select: tuple[str, PageForm] | None = None
        self._options: list[tuple[str, bool]] = []
        self._text: tuple[str, PageForm] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._begin_form(given)
        elif tag == "option" and self._select:
            self._options.append((given.get("value", ""), "selected" in given))
        elif "name" in given and "disabled" not in given and (form := self._form(given)):
            self._field(tag, given, form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select" and self._select:
            self._end_select()
        elif tag == "textarea":
            self._text = None

    def handle_data(self, text: str) -> None:
        if self._text:
            name, form = self._text
            form.fields.append((name, text.removeprefix("\n")))
            self._text = None

    def _begin_form(self, given: dict[str, str]) -> None:
        action = given.get("action") or given.get("hx-post") or self.address
        self._open = PageForm(given.get("method", "get").lower(), action)
        self.forms.append(self._open)
        if "id" in given:
            self._by_id[given["id"]] = self._open

    def _form(self, given: dict[str, str]) -> PageForm | None:
        return self._by_id.get(given["form"]) if "form" in given else self._open

    def _field(self, tag: str, given: dict[str, str], form: PageForm) -> None:
        name, value, kind = given["name"], given.get("value", ""), given.get("type", "text")
        if tag == "select":
            self._select, self._options = (name, form), []
        elif tag == "textarea":
            self._text = (name, form)
        elif tag == "button" or kind == "submit":
            if value.isdigit():
                form.links.add(name)
        elif tag == "input" and kind != "file":
            if kind not in {"radio", "checkbox"} or "checked" in given:
                form.fields.append((name, value))
            if kind in {"hidden", "radio", "checkbox"} and value.isdigit() and "_FORMS" not in name:
                form.links.add(name)
            if kind in {"text", "search"}:
                form.words.add(name)

    def _end_select(self) -> None:
        name, form = self._select
        form.fields += [(name, value) for value, is_selected in self._options if is_selected]
        # A choice that is filled by a search has no options of its own yet.
        if all(value.isdigit() for value, _ in self._options if value) and "__prefix__" not in name:
            form.links.add(name)
        self._select = None
