"""Whether a document is a policy, or everything that is wrong with it at once."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.guardian.vocabulary import ARGUMENTS, VOCABULARIES
from shared.contracts.document import parsed
from shared.contracts.policy import SUBJECTS, Policy, Subject, seconds_text, shaped, text_of
from shared.contracts.wrong import Place
from shared.expression import Kind, fault_in
from shared.problem import Problem, in_order

NEEDED = "A policy is a mapping of fields such as name and triggers."
_KINDS = {"when": Kind.TRUTH, "provided": Kind.TRUTH, "lasting": Kind.NUMBER, "at": Kind.MOMENT}


def examined(document: Policy | dict[str, Any] | str) -> tuple[Policy | None, list[Problem]]:
    """The policy where nothing is wrong, else what is; of text in the order of its lines."""
    if isinstance(document, Policy):
        return examined(document.model_dump(mode="json", exclude_defaults=True))
    if isinstance(document, dict):
        return _described(document)
    fields, line_of, wrong = parsed(document, NEEDED)
    found = [Problem(path, message) for path, message in wrong]
    policy: Policy | None = None
    if fields is not None or not wrong:
        policy, more = _described(fields)
        found += more
    return (None, in_order(found, line_of)) if found else (policy, [])


def _described(fields: Any) -> tuple[Policy | None, list[Problem]]:
    if not isinstance(fields, dict):
        return None, [Problem((), NEEDED)]
    policy, wrong = shaped(fields)
    found = [Problem(path, message) for path, message in (*wrong, *_meanings(fields))]
    return (None, found) if found else (policy, [])


def _meanings(fields: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """What the shape alone does not tell, wherever enough can be read to tell it."""
    triggers = fields.get("triggers")
    seen: set[Any] = set()
    for number, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        if not isinstance(trigger, dict):
            continue
        place = ("triggers", number)
        name = trigger.get("id")
        if isinstance(name, str):
            if name in seen:
                yield (*place, "id"), f"{name} is the name of another trigger of this policy too."
            seen.add(name)
        yield from _of_trigger(trigger, place)


def _of_trigger(trigger: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    heard = trigger.get("on")
    facts = [heard] if isinstance(heard, str) else heard if isinstance(heard, list) else []
    subjects = list(dict.fromkeys(SUBJECTS[fact] for fact in facts if fact in SUBJECTS))
    if len(subjects) > 1:
        yield (*place, "on"), f"These are about {' and '.join(subjects)}; a trigger is about one of them."
    if len(subjects) != 1:
        return
    subject = subjects[0]
    for name, kind in _KINDS.items():
        if name in trigger:
            yield from _of_expression(trigger[name], kind, subject, (*place, name))
    actions = trigger.get("actions")
    for number, action in enumerate(actions if isinstance(actions, list) else ()):
        for name, arguments in action.items() if isinstance(action, dict) else ():
            for argument, text in arguments.items() if isinstance(arguments, dict) else ():
                if argument in ARGUMENTS:
                    where = (*place, "actions", number, name, argument)
                    yield from _of_expression(text, ARGUMENTS[argument], subject, where)


def _of_expression(value: Any, kind: Kind, subject: Subject, place: Place) -> Iterator[tuple[Place, str]]:
    text = seconds_text(value) if place[-1] == "lasting" else text_of(value)
    if not isinstance(text, str) or not text:
        return
    if fault := fault_in(text, VOCABULARIES[subject], kind):
        yield place, fault
