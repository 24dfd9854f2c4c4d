"""An agent, as far as collaboration must know it: whether a task can be handed to it."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.contracts.collaboration import Absence, AgentFollowed, FollowAgent
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused

WAY_OUT = "`omoi agents search` shows who is offered work: name another agent."


class AgentNotFound(Refused):
    """No agent of that name is here."""


class AgentIsQuarantined(Refused):
    """The agent gets no tasks until it is released."""


class AgentNotAvailable(Refused):
    """The agent is lost, or was taken out."""


@dataclass(frozen=True)
class Absent:
    """Whether an agent is absent for one reason, and since when that is so."""

    absent: bool
    reason: str
    at: datetime


@dataclass(frozen=True)
class Agent:
    """An agent of which the registry had something to say."""

    agent_id: str = ""
    absences: dict[Absence, Absent] = field(default_factory=dict)

    @property
    def here(self) -> bool:
        """Whether it has registered and not left."""
        return "left" in self.absences and not self.is_absent("left")

    def is_absent(self, absence: Absence) -> bool:
        """Whether it is absent for that reason."""
        known = self.absences.get(absence)
        return known is not None and known.absent


def follow_agent(command: FollowAgent, past: Past, context: Context) -> Facts:
    """Remember the newest word on each reason; an older one that comes late is let pass."""
    known = past.of(Agent, command.agent_id).absences.get(command.absence)
    if known is not None and known.at >= command.at:
        return []
    return [AgentFollowed(**command.model_dump())]


def refuse_absent(agent: Agent, agent_id: str) -> None:
    """Refuse to hand a task to an agent that could not do it."""
    if "left" not in agent.absences:
        raise AgentNotFound(f"There is no agent {agent_id}. {WAY_OUT}", agent_id=agent_id)
    if not agent.here:
        raise AgentNotFound(f"Agent {agent_id} has left. {WAY_OUT}", agent_id=agent_id)
    refuse_quarantined(agent)
    if agent.is_absent("lost"):
        raise AgentNotAvailable(
            f"Agent {agent_id} is lost: it missed its heartbeats. {WAY_OUT}",
            agent_id=agent_id,
            absence="lost",
        )
    if agent.is_absent("unavailable"):
        raise AgentNotAvailable(
            f"Agent {agent_id} is offered no work. `omoi agents available {agent_id}` lets it have some. "
            f"{WAY_OUT}",
            agent_id=agent_id,
            absence="unavailable",
        )


def refuse_quarantined(agent: Agent) -> None:
    """Refuse an agent that is in quarantine."""
    if not agent.is_absent("quarantine"):
        return
    reason = agent.absences["quarantine"].reason
    full = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    raise AgentIsQuarantined(
        f"Agent {agent.agent_id} is quarantined: {full} It gets no tasks until a guardian releases it: "
        f"`omoi agents release {agent.agent_id}`. {WAY_OUT}",
        agent_id=agent.agent_id,
        reason=reason,
    )


def evolve(agent: Agent, event: AgentFollowed) -> Agent:
    """The agent after `event`."""
    absent = Absent(event.absent, event.reason, event.at)
    return replace(agent, agent_id=event.agent_id, absences={**agent.absences, event.absence: absent})


AGENT = Aggregate(Agent, evolve, key="agent_id")
