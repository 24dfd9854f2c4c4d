from typing import Any

import pytest

from shared.testing.world import World, until
from tests.gates.judgement import workflow
from tests.gates.office import ask, hand_in, look, office

BY_AGENT = workflow(review={"by": "agent", "instructions": "Is it true?"}, approval={"count": 2})


async def pending(world: World, query: str, **fields: Any) -> Any:
    return (await world.query(f"gates.{query}", fields))["result"]["requests"]


async def test_an_agent_learns_what_there_is_to_review_and_people_what_there_is_to_approve(
    a_world: World,
) -> None:
    async with office(a_world, BY_AGENT) as world:
        for agent_id in ("critic", "coder-1"):
            await ask(world, "follow_agent", agent_id=agent_id, capabilities=["validation"], session=1)
        (found,) = await pending(world, "pending_reviews", reviewer_kind="agent")
        assert (found["ticket_id"], found["phase_id"], found["visit"], found["round"]) == ("T", "CHECK", 1, 1)
        assert found["instructions"] == "Is it true?"
        assert await pending(world, "pending_reviews", reviewer_kind="model") == []
        assert await pending(world, "pending_reviews", ticket_id="other") == []
        artifact_id = found["evidence"][0]["artifact_id"]
        read = await world.query("gates.get_artifact", {"ticket_id": "T", "artifact_id": artifact_id})
        assert (read["result"]["content"], read["result"]["superseded"]) == ("Because.", False)
        missing = await world.query("gates.get_artifact", {"ticket_id": "T", "artifact_id": "other"})
        assert missing["code"] == "artifact_not_found"

        verdict = {"ticket_id": "T", "request_id": found["request_id"], "passed": True, "feedback": "It is."}
        assert (await ask(world, "submit_review", actor="coder-1", **verdict))["code"] == "reviewer_is_author"
        refused = await ask(world, "submit_review", actor="stranger", **verdict)
        assert refused["code"] == "reviewer_not_qualified"
        assert (await ask(world, "submit_review", actor="critic", **verdict))["status"] == "pending"

        assert await pending(world, "pending_reviews") == []
        (request,) = await pending(world, "pending_approvals")
        assert (request["required"], request["approved_by"]) == (2, [])
        consent = {"ticket_id": "T", "request_id": request["request_id"]}
        assert (await ask(world, "approve", actor="critic", **consent))["code"] == "not_authorised"
        assert (await ask(world, "approve", actor="ann", **consent))["approved_by"] == ["ann"]
        assert (await ask(world, "approve", actor="ann", **consent))["approved_by"] == ["ann"]
        assert (await pending(world, "pending_approvals", ticket_id="T"))[0]["approved_by"] == ["ann"]
        assert (await ask(world, "approve", actor="bob", **consent))["status"] == "passed"
        assert await pending(world, "pending_approvals") == []


async def test_a_gate_shows_every_round_request_and_decision(a_world: World) -> None:
    async with office(a_world, BY_AGENT) as world:
        await ask(world, "follow_agent", agent_id="critic", capabilities=["validation"], session=1)
        for passed in (False, True):
            verdict = {"ticket_id": "T", "passed": passed, "feedback": "So so.", "evidence": ["n.md"]}
            await ask(world, "submit_review", actor="critic", **verdict)
            if not passed:
                await hand_in(world, "Because of the rain.", "b")
        await ask(world, "approve", actor="ann", ticket_id="T", comment="Fine.")
        await ask(world, "reject", actor="bob", ticket_id="T", reason="Not now.")
        found = await look(world)
    assert found["status"] == "failed"
    assert found["blocking_reasons"] == ["bob rejected it: Not now."]
    assert [(one["round"], one["status"], one["reviewed_by"]) for one in found["reviews"]] == [
        (1, "failed", "critic"),
        (2, "passed", "critic"),
    ]
    (request,) = found["approvals"]
    assert (request["status"], request["reason"]) == ("rejected", "Not now.")
    said = [(one["actor"], one["approved"], one["reason"]) for one in request["decisions"]]
    assert said == [("ann", True, "Fine."), ("bob", False, "Not now.")]


@pytest.mark.parametrize("again", [False, True])
async def test_a_request_that_nobody_answers_expires(again: bool, a_world: World) -> None:
    async with office(a_world, workflow(approval={"expires_seconds": 1})) as world:

        async def expired() -> bool:
            return bool((await look(world))["approvals"][0]["status"] == "expired")

        await until(expired, 30)
        found = await look(world)
        assert found["status"] == "pending"
        assert found["blocking_reasons"] == [
            "The request for approval has expired. Validate the gate to ask again."
        ]
        refused = await ask(world, "approve", actor="ann", ticket_id="T")
        assert refused["code"] == "approval_not_requested"
        if again:
            await ask(world, "validate_gate", ticket_id="T")
            assert [one["status"] for one in (await look(world))["approvals"]] == ["expired", "open"]


async def test_a_checksum_of_something_else_is_refused(a_world: World) -> None:
    async with office(a_world, BY_AGENT) as world:
        wrong: dict[str, Any] = {
            "ticket_id": "T",
            "artifact_type": "note",
            "content": "Mine.",
            "sha256": "0" * 64,
        }
        refused = await ask(world, "submit_artifact", **wrong)
        assert refused["code"] == "checksum_mismatch"
        assert refused["details"]["sha256"] == "0" * 64
        right = {**wrong, "sha256": refused["details"]["content_sha256"]}
        assert "artifact_id" in await ask(world, "submit_artifact", **right)
        fields = {**wrong, "content": {"percentage": 9}}
        assert (await ask(world, "submit_artifact", **fields))["code"] == "checksum_mismatch"
        of_a_file = {**fields, "artifact_path": "coverage.xml"}
        assert "artifact_id" in await ask(world, "submit_artifact", **of_a_file)
