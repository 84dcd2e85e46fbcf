"""Pages of the site that are made from the repository, and links between it and the site.

The markdown files are written to be read in the repository, too. Here their links to what is a page
of the site lead there: cards of potentials, the pages in the root of the repository, verbs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
# Pages in the root of the repository that are pages of the site, too.
ROOT_PAGES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
# Groups of options that argparse names.
_UNNAMED = {"options": "Options", "positional arguments": "Arguments"}


def generate(folder: Path) -> None:
    """Write the generated pages into a folder, anew."""
    for part in ("potentials", "cli"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    for name in ROOT_PAGES:
        text = moved((ROOT / name).read_text(encoding="utf-8"), ROOT, folder)
        (folder / name).write_text(text, encoding="utf-8")
    for card in sorted((ROOT / "potentials").glob("*/README.md")):
        name, target = card.parent.name, folder / "potentials"
        text = moved(card.read_text(encoding="utf-8"), card.parent, target)
        (target / f"{name}.md").write_text(text, encoding="utf-8")
    _write_verbs(folder / "cli")


def rewrite_links(app: Any, name: str, source: list[str]) -> None:
    """Point the links of a page to pages of the site; called by Sphinx as it reads the page."""
    place = (DOCS / f"{name}.md").parent
    if "generated" not in place.parts:
        source[0] = moved(source[0], place, place)


def moved(text: str, old: Path, new: Path) -> str:
    """A page's text with the links that lead to the same files from another folder.

    Parameters
    ----------
    text : str
        Markdown.
    old, new : Path
        Folder that its links are relative to, and folder of the page of the site.
    """

    def replaced(found: re.Match[str]) -> str:
        mark, words, target, anchor = found.groups()
        if re.match(r"[a-z]+:", target):
            return found.group()
        path = _page_of((old / target).resolve())
        if path is None:
            return words
        return f"{mark}[{words}]({os.path.relpath(path, new)}{anchor or ''})"

    blocks = re.split(r"(```.*?```)", text, flags=re.DOTALL)
    return "".join(
        block if block.startswith("```") else _LINK.sub(replaced, block) for block in blocks
    )


def _page_of(path: Path) -> Path | None:
    """What a link to a file of the repository leads to on the site; None for folders."""
    generated = DOCS / "generated"
    if path == ROOT / "README.md":
        return DOCS / "index.md"
    if path.parent == ROOT and path.name in ROOT_PAGES:
        return generated / path.name
    card = path if path.is_dir() else path.parent
    if card.parent == ROOT / "potentials" and (path.is_dir() or path.name == "README.md"):
        return generated / "potentials" / f"{card.name}.md"
    return None if path.is_dir() else path


def _write_verbs(folder: Path) -> None:
    from ase_geomformer.commands import VERBS, load
    from ase_geomformer.settings.parser import SettingsParser

    for verb, summary in VERBS.items():
        module = load(verb)
        parser = SettingsParser(prog=f"ase-geomformer {verb}")
        module.add_arguments(parser)
        lines = [
            f"# {verb}", f"{summary[0].upper()}{summary[1:]}.", module.DESCRIPTION,
            f"```\nase-geomformer {verb} {module.USAGE}\n```",
        ]  # fmt: skip
        for group in parser._action_groups:
            rows = [row for action in group._group_actions if (row := _row(action))]
            if rows:
                head = ["| option | default | |", "|---|---|---|"]
                title = _UNNAMED.get(str(group.title), group.title)
                lines += [f"## {title}", "\n".join([*head, *rows])]
        (folder / f"{verb}.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def _row(action: argparse.Action) -> str:
    """The line of an option in the table of a verb; empty for what every verb has."""
    if action.dest in ("help", "config") or action.help == argparse.SUPPRESS:
        return ""
    spellings = [one for one in action.option_strings if not one.endswith("+")]
    name = max(spellings, key=len, default=str(action.metavar or action.dest))
    default = action.default
    shown = "" if default is None or default == argparse.SUPPRESS else f"`{default}`"
    help_text = " ".join((action.help or "").split()).replace("|", "\\|")
    help_text = help_text.replace("<", "\\<").replace("*", "\\*")
    return f"| `{name}` | {shown} | {help_text} |"
