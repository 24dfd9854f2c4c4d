"""What every service announces about the commands it was sent."""

from typing import Any

from pydantic import Field

from shared.contracts.messages import Event, Key


class CommandRefused(Event):
    """A durable command was refused: a rule or the door said no."""

    subject: Key = Field(description="Ticket the command spoke of, else the command's id as a token.")
    command_id: str = Field(description="Id of the refused command.")
    service: str = Field(description="Service that refused it.")
    command: str = Field(description="Wire name of the command, for example `transition`.")
    actor: str = Field(description="Who sent it.")
    code: str = Field(description="Stable reason in snake case.")
    message: str = Field(description="The reason and the way out, for a person.")
    details: dict[str, Any] = Field(default_factory=dict, description="Which limit, blocker or field.")
