"""Who holds which lock and who waits for it, as somebody knows it who only hears the events."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.lock import (
    LockAcquired,
    LockDenied,
    LockExpired,
    LockExtended,
    LockHandedOver,
    LockQueued,
    LockReleased,
    Mode,
)
from shared.contracts.messages import Event

Wishes = Mapping[str, Mode]
"""Resource -> how it is wanted."""


@dataclass
class Held:
    """One task's hold on a resource."""

    mode: Mode
    token: int
    depth: int
    expires_at: datetime | None
    agent_id: str


@dataclass
class Place:
    """One request's place in one line."""

    request_id: str
    task_id: str
    mode: Mode
    wait_until: datetime


class LockTable:
    """Asserts of each event that those before it allow it."""

    def __init__(self) -> None:
        self.tokens: dict[str, int] = defaultdict(int)
        self.held: dict[str, dict[str, Held]] = defaultdict(dict)
        self.lines: dict[str, list[Place]] = defaultdict(list)

    def hear(self, event: Event) -> None:
        """Follow an event of a lock; others change nothing."""
        match event:
            case LockQueued():
                place = Place(event.request_id, event.task_id, event.mode, event.wait_until)
                self.lines[event.resource_key].append(place)
            case LockAcquired():
                self._acquired(event)
            case LockDenied():
                self._leave(event)
            case LockHandedOver():
                hold = self.held[event.resource_key][event.task_id]
                assert (event.fencing_token, event.from_agent) == (hold.token, hold.agent_id)
                hold.agent_id = event.agent_id
            case LockExtended():
                self.held[event.resource_key][event.task_id].expires_at = event.expires_at
            case LockReleased() | LockExpired():
                self._let_go(event)
            case _:
                pass

    def _acquired(self, event: LockAcquired) -> None:
        resource, task_id = event.resource_key, event.task_id
        before = self.held[resource].get(task_id)
        if before and (before.mode == "exclusive" or event.mode == "shared"):
            assert (event.fencing_token, event.mode) == (before.token, before.mode)
        else:
            assert event.fencing_token > self.tokens[resource]
            assert not self.blocked_by(resource, task_id, event.mode, event.request_id), event
            self.tokens[resource] = event.fencing_token
        assert event.depth == (before.depth + 1 if before else 1)
        self.held[resource][task_id] = Held(
            event.mode, event.fencing_token, event.depth, event.expires_at, event.agent_id
        )
        self._leave(event)
        modes = [hold.mode for hold in self.held[resource].values()]
        assert "exclusive" not in modes or len(modes) == 1, "a writer is alone"

    def _let_go(self, event: LockReleased | LockExpired) -> None:
        held = self.held[event.resource_key]
        hold = held[event.task_id]
        assert event.fencing_token == hold.token
        if isinstance(event, LockExpired):
            assert hold.expires_at is not None
            assert hold.expires_at <= event.at
        elif event.depth:
            assert event.depth == hold.depth - 1
            hold.depth = event.depth
            return
        del held[event.task_id]

    def _leave(self, event: LockDenied | LockAcquired) -> None:
        line = self.lines[event.resource_key]
        self.lines[event.resource_key] = [one for one in line if one.request_id != event.request_id]

    def holds_of(self, task_id: str) -> list[str]:
        """What the task holds, by resource."""
        return sorted(resource for resource, held in self.held.items() if task_id in held)

    def blocked_by(self, resource: str, task_id: str, mode: Mode, request_id: str) -> set[str]:
        """Who must leave before the task may have it: first come, first served, unless both share."""
        hold = self.held[resource].get(task_id)
        if hold and (hold.mode == "exclusive" or mode == "shared"):
            return set()
        found = {other for other, one in self.held[resource].items() if "exclusive" in (one.mode, mode)}
        if not hold:
            for place in self.lines[resource]:
                if place.request_id == request_id:
                    break
                if "exclusive" in (place.mode, mode):
                    found.add(place.task_id)
        return found - {task_id}

    def requests(self) -> dict[tuple[str, str], dict[str, Mode]]:
        """Task and request -> what it waits for."""
        found: dict[tuple[str, str], dict[str, Mode]] = defaultdict(dict)
        for resource, line in self.lines.items():
            for place in line:
                found[place.task_id, place.request_id][resource] = place.mode
        return found

    def in_front(self, task_id: str, wishes: Wishes, request_id: str) -> set[str]:
        """Who must leave before the task may have all of it."""
        blocked = (self.blocked_by(key, task_id, mode, request_id) for key, mode in wishes.items())
        return set().union(*blocked)

    def reached(self, tasks: set[str]) -> set[str]:
        """The tasks, and all that they wait for, directly or not."""
        ahead: dict[str, set[str]] = defaultdict(set)
        for (task_id, request_id), wishes in self.requests().items():
            ahead[task_id] |= self.in_front(task_id, wishes, request_id)
        unseen, found = list(tasks), set(tasks)
        while unseen:
            new = ahead[unseen.pop()] - found
            found |= new
            unseen += new
        return found
