"""With the stack up, stock nats-py and no code of ours."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from tests.system.conftest import System


@pytest.fixture
async def broker(system: System) -> Any:
    """A connection with the credentials that `omoi doctor` tells."""
    client = await nats.connect(system.json("doctor", "--json")["nats_url"])
    yield client
    await client.close()


async def ask(broker: Client, subject: str, body: Any, **headers: str) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or None
    answer: dict[str, Any] = json.loads((await broker.request(subject, data, timeout=10, headers=sent)).data)
    return answer


async def opened(broker: Client) -> str:
    answer = await ask(broker, "ask.phase.open_ticket", {"title": "A ticket"})
    return str(answer["result"]["ticket_id"])


def test_doctor_tells_scripts_where_everything_is(system: System) -> None:
    report = system.json("doctor", "--json")
    assert report["ready"] is True
    assert report["nats_url"].startswith("nats://operator:")
    assert {"database_url", "gateway_url"} <= set(report)
    assert {"phase", "scheduler", "registry", "gates", "projection"} <= set(report["services"])
    assert all(service["ready"] and "lag" in service for service in report["services"].values())


async def test_a_published_command_becomes_an_event(broker: Client) -> None:
    ticket_id = str(uuid4())
    events = await broker.subscribe(f"evt.phase.ticket_opened.{ticket_id}")
    await broker.flush()
    await broker.publish(
        "cmd.phase.open_ticket", json.dumps({"ticket_id": ticket_id, "title": "By hand"}).encode()
    )
    event = await events.next_msg(timeout=10)
    headers = event.headers or {}
    assert json.loads(event.data)["title"] == "By hand"
    assert headers["ce-type"] == "phase.ticket_opened"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-actor"] == "anonymous"
    assert int(headers["omoi-previous"]) == int(headers["omoi-position"]) - 1
    assert {"ce-id", "ce-source", "ce-subject", "ce-time", "ce-correlationid", "ce-causationid"} <= set(
        headers
    )
    assert {"omoi-stream", "omoi-version", "omoi-schema"} <= set(headers)


async def test_an_asked_transition_is_answered_after_the_commit(broker: Client) -> None:
    ticket_id = await opened(broker)
    move = {"ticket_id": ticket_id, "to_phase": "PHASE_REQUIREMENTS", "reason": "start"}
    answer = await ask(broker, "ask.phase.transition", move)
    assert answer["ok"] is True
    assert answer["command_id"]
    assert answer["events"][0]["type"] == "phase.transitioned"
    assert {"type", "stream", "version", "position"} == set(answer["events"][0])
    seen = await ask(broker, "qry.phase.get_ticket", {"ticket_id": ticket_id})
    assert seen["result"]["phase_id"] == "PHASE_REQUIREMENTS"


async def test_an_illegal_move_names_the_legal_ones(broker: Client) -> None:
    ticket_id = await opened(broker)
    answer = await ask(broker, "ask.phase.transition", {"ticket_id": ticket_id, "to_phase": "PHASE_DONE"})
    assert answer["ok"] is False
    assert answer["code"] == "illegal_transition"
    assert answer["details"]["legal_targets"] == ["PHASE_REQUIREMENTS"]
    assert "PHASE_REQUIREMENTS" in answer["message"]


async def test_the_same_id_has_one_effect_and_one_answer(broker: Client) -> None:
    identity = str(uuid4())
    body = {"title": "Once"}
    answers = [await ask(broker, "ask.phase.open_ticket", body, ce_id=identity) for _ in range(3)]
    at_once = await asyncio.gather(
        *(ask(broker, "ask.phase.open_ticket", body, ce_id=identity) for _ in range(20))
    )
    assert all(answer == answers[0] for answer in [*answers, *at_once])
    assert answers[0]["ok"] is True


@pytest.mark.parametrize(
    ("subject", "body", "code"),
    [
        ("ask.phase.open_ticket", b"{not json", "malformed_message"),
        ("ask.phase.open_ticket", b"[1, 2]", "malformed_message"),
        ("ask.phase.open_ticket", {"title": "x", "colour": "red"}, "invalid_command"),
        ("ask.phase.open_ticket", {"title": ""}, "invalid_command"),
        ("ask.phase.open_tiket", {"title": "x"}, "unknown_command"),
        ("ask.phase.transition", {"ticket_id": "no-such", "to_phase": "PHASE_DESIGN"}, "ticket_not_found"),
        ("ask.phase.transition", {"ticket_id": "has.dots", "to_phase": "PHASE_DESIGN"}, "invalid_command"),
        (
            "ask.phase.override_transition",
            {"ticket_id": "x", "to_phase": "y", "reason": "z"},
            "not_authorised",
        ),
        ("qry.phase.get_ticket", {"ticket_id": "no-such"}, "ticket_not_found"),
        ("qry.phase.nonsense", {}, "unknown_query"),
    ],
)
async def test_bad_input_gets_a_coded_answer(broker: Client, subject: str, body: Any, code: str) -> None:
    answer = await ask(broker, subject, body)
    assert answer["ok"] is False
    assert answer["code"] == code
    assert answer["message"]
    assert (await ask(broker, "ask.phase.open_ticket", {"title": "still there"}))["ok"]


async def test_an_invalid_field_is_named_with_what_is_wrong(broker: Client) -> None:
    answer = await ask(broker, "ask.phase.open_ticket", {"title": 7, "colour": "red"})
    assert set(answer["details"]["fields"]) == {"title", "colour"}


async def test_a_message_over_a_mebibyte_is_refused_by_the_broker_and_hurts_nobody(broker: Client) -> None:
    with pytest.raises(nats.errors.MaxPayloadError):
        await broker.request("ask.phase.open_ticket", b'{"title": "' + b"x" * 2_000_000 + b'"}', timeout=5)
    assert (await ask(broker, "ask.phase.open_ticket", {"title": "still there"}))["ok"]


async def test_without_credentials_nobody_speaks_under_a_name(system: System) -> None:
    url = system.json("doctor", "--json")["nats_url"]
    errors: list[Exception] = []

    async def noted(error: Exception) -> None:
        errors.append(error)

    stranger = await nats.connect(f"nats://{url.rpartition('@')[2]}", error_cb=noted)
    try:
        assert (await ask(stranger, "ask.phase.open_ticket", {"title": "Anonymous"}))["ok"]
        with pytest.raises(nats.errors.TimeoutError):
            await stranger.request("ask.phase.open_ticket.operator", b'{"title": "Forged"}', timeout=1)
        await stranger.publish("evt.phase.ticket_opened.forged", b"{}")
        await stranger.flush()
        await asyncio.sleep(0.2)
        assert any("permissions violation" in str(error).lower() for error in errors)
    finally:
        await stranger.close()
