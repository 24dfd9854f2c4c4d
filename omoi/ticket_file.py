"""Tickets as people write them: Markdown with YAML front matter."""

import io
import re
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shared.contracts.phase import OpenTicket
from shared.contracts.wrong import told

FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*\n", re.DOTALL)


def read_ticket(path: Path, repository: str | None = None) -> OpenTicket:
    """The command that opens the ticket of a file.

    The front matter holds fields of `open_ticket`; the title may also be the first heading; the rest of the
    text is the description. Raises a usage error that names the file and the field.
    """
    text = path.read_text(encoding="utf-8")
    fields: dict[str, Any] = {}
    if match := FRONT_MATTER.match(text):
        try:
            fields = YAML(typ="safe", pure=True).load(io.StringIO(match[1])) or {}
        except YAMLError as error:
            raise typer.BadParameter(f"{path}: the front matter is not YAML: {error}") from error
        text = text[match.end() :]
    if heading := re.match(r"\s*#\s+(.+)\n", text):
        fields.setdefault("title", heading[1].strip())
        text = text[heading.end() :]
    fields.setdefault("description", text.strip())
    if repository:
        fields["repository"] = repository
    try:
        return OpenTicket.model_validate(fields)
    except ValidationError as error:
        hint = "" if "title" in fields else " A first line such as `# What is wanted` gives the title."
        raise typer.BadParameter(f"{path}: {told(error)}{hint}") from error
