"""The workflow files that come with OmoiOS."""

from collections.abc import Sequence
from importlib.resources import files

from services.phase.workflow import sound
from shared.contracts.phase import LoadWorkflow


def shipped_workflows() -> Sequence[LoadWorkflow]:
    """A command for each YAML file of the package `workflows`, in the order of their names."""
    shipped = sorted((file.name, file) for file in files("workflows").iterdir())
    texts = [file.read_text("utf-8") for name, file in shipped if name.endswith(".yaml")]
    return [LoadWorkflow(document=sound(text), shipped=True) for text in texts]
