"""Loading a workflow into the service that keeps them, from inside its process."""

from datetime import UTC, datetime
from typing import Any

from uuid_utils import uuid7

from omoi.workflow_folder import Load
from shared.contracts.phase import LoadWorkflow
from shared.contracts.workflow import Workflow
from shared.kernel.envelope import Envelope
from shared.kernel.runtime import Runtime


def loading(runtime: Runtime) -> Load:
    """Loads workflows in the name of the service: who may write to its folder may load."""

    async def load(workflow: Workflow) -> dict[str, Any]:
        envelope = Envelope(
            id=str(uuid7()),
            name=LoadWorkflow.wire_name(),
            command=LoadWorkflow(document=workflow),
            actor=runtime.service.name,
            received_at=datetime.now(UTC),
        )
        return await runtime.give(envelope)

    return load
