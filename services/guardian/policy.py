"""The policies that are watched, each in the form in which it was loaded last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.guardian.policy_document import examined
from shared.contracts.guardian import (
    GuardianPolicyLoaded,
    GuardianPolicyRemoved,
    LoadPolicy,
    PolicyVersion,
    RemovePolicy,
)
from shared.contracts.policy import SUBJECTS, Policy, Subject, Trigger
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused

BOOK = "all"
MOST_POLICIES = 100


class PolicyUnsound(Refused):
    """The document is no policy; the details have every problem with its place."""


class PolicyNotFound(Refused):
    """No policy of that name is loaded."""


class TooManyPolicies(Refused):
    """Every observation is compared with each policy: there may be only so many."""


@dataclass(frozen=True)
class Loaded:
    """A policy that is watched."""

    document: Policy
    version: str
    load: int
    loaded_by: str
    loaded_at: datetime


@dataclass(frozen=True)
class Armed:
    """One trigger of a policy that is watched."""

    policy: Policy
    version: str
    load: int
    trigger: Trigger

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return f"{self.policy.name}/{self.trigger.id}"


@dataclass(frozen=True)
class Book:
    """All policies that are watched, by name."""

    policies: Mapping[str, Loaded] = field(default_factory=dict)
    loads: int = 0
    """How many policies were ever loaded: what a policy waited for is void when it is loaded again."""

    def armed(self, subject: Subject) -> Iterator[Armed]:
        """The triggers that look at a kind of subject."""
        for loaded in self.policies.values():
            if loaded.document.enabled:
                for trigger in loaded.document.triggers:
                    if SUBJECTS[trigger.on[0]] == subject:
                        yield Armed(loaded.document, loaded.version, loaded.load, trigger)


def sound(document: dict[str, Any] | str) -> Policy:
    """The policy that a document is. Raises PolicyUnsound."""
    policy, problems = examined(document)
    if policy is None:
        raise PolicyUnsound(
            "The policy cannot be used: " + " ".join(map(str, problems)),
            problems=[problem.as_details() for problem in problems],
        )
    return policy


def load_policy(command: LoadPolicy, past: Past, context: Context) -> Facts:
    """Watch it from now on; the same content again changes nothing."""
    policy, book = sound(command.document), past.of(Book, BOOK)
    told = PolicyVersion(name=policy.name, version=policy.version)
    known = book.policies.get(policy.name)
    if known and known.version == policy.version:
        return [told]
    if not known and len(book.policies) >= MOST_POLICIES:
        raise TooManyPolicies(
            f"There are {MOST_POLICIES} policies already. Remove one, or put several triggers into one.",
            most=MOST_POLICIES,
        )
    loaded = GuardianPolicyLoaded(
        book=BOOK,
        name=policy.name,
        version=policy.version,
        load=book.loads + 1,
        document=policy,
        loaded_by=context.actor,
        at=context.at,
    )
    return [loaded, told]


def remove_policy(command: RemovePolicy, past: Past, context: Context) -> Facts:
    """Watch it no more."""
    book = past.of(Book, BOOK)
    if command.name not in book.policies:
        raise policy_not_found(command.name, book)
    removed = GuardianPolicyRemoved(
        book=BOOK, name=command.name, reason=command.reason, removed_by=context.actor, at=context.at
    )
    return [removed]


def policy_not_found(name: str, book: Book) -> PolicyNotFound:
    """The refusal for a name under which nothing is loaded."""
    there = f"there are {', '.join(sorted(book.policies))}" if book.policies else "none is loaded"
    return PolicyNotFound(f"There is no policy {name}; {there}.", name=name)


def evolve(book: Book, event: GuardianPolicyLoaded | GuardianPolicyRemoved) -> Book:
    """The book after `event`."""
    match event:
        case GuardianPolicyLoaded():
            loaded = Loaded(event.document, event.version, event.load, event.loaded_by, event.at)
            return Book({**book.policies, event.name: loaded}, event.load)
        case GuardianPolicyRemoved():
            others = {name: loaded for name, loaded in book.policies.items() if name != event.name}
            return Book(others, book.loads)


BOOK_OF_POLICIES = Aggregate(Book, evolve, key="book")
