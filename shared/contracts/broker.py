"""What every service announces about the broker's copy of its events."""

from pydantic import Field

from shared.contracts.messages import Event, Key


class BrokerRefilled(Event):
    """The broker had lost events of a service, and the service published them again from Postgres."""

    service: Key = Field(description="Service whose events were missing.")
    held_position: int = Field(description="Last position the broker still held.")
    lost_events: int = Field(description="How many events were published again.")
    reason: str = Field(description="What was found, for example `stream recreated`.")
