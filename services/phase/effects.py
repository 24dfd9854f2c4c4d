"""The workflow files that come with OmoiOS."""

from collections.abc import Sequence
from importlib.resources import files

from shared.contracts.messages import Command
from shared.contracts.phase import LoadWorkflow


def shipped_workflows() -> Sequence[Command]:
    """A command for each file of the package `workflows`."""
    documents = sorted(
        file.read_text("utf-8") for file in files("workflows").iterdir() if file.name.endswith(".yaml")
    )
    return [LoadWorkflow.model_validate({"document": document, "shipped": True}) for document in documents]
