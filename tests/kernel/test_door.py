"""What may come through the door, on both lanes, and what is answered to it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import nats
import nats.errors
import orjson
import pytest

from shared.stack import Stack
from shared.testing.world import World, until, world
from tests.kernel import till
from tests.kernel.lanes import LANES, Lane, give, last_dead, queue_is_empty
from tests.kernel.ledger import check_once, effects, log


@pytest.fixture(scope="module")
async def open_tills(stack: Stack) -> AsyncIterator[World]:
    """A running till service with the till t1; these tests share it."""
    async with world(stack.database_url, stack.nats_url()) as made:
        await made.install(till.till, tables=[till.metadata])
        async with made.running(till.till):
            assert (await made.ask("till.open_till", {"till_id": "t1"}))["ok"]
            yield made


async def still_serves(world: World) -> None:
    """The service takes and answers commands and questions."""
    answer = await world.ask("till.pay", {"till_id": "t1", "coins": 1})
    assert answer["ok"], answer
    assert (await world.query("till.get_till", {"till_id": "t1"}))["ok"]


async def test_a_thing_without_an_id_is_named_after_the_command(open_tills: World) -> None:
    first = await open_tills.ask("till.open_till", command_id="nameless")
    assert first["result"]["till_id"]
    assert await open_tills.ask("till.open_till", command_id="nameless") == first


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_message"),
        (b"pay", "malformed_message"),
        (b"[]", "malformed_message"),
        (b'"coins"', "malformed_message"),
        (b"\xff\xfe", "malformed_message"),
        (b'{"till_id": "\xff"}', "malformed_message"),
        (b'{"till_id": "\\ud800", "coins": 1}', "malformed_message"),
        (b'{"till_id": "t1", "coins": 1e999}', "malformed_message"),
        (b'{"till_id": "t1", "coins": NaN}', "malformed_message"),
        (b'{"till_id": ' + b"[" * 5000 + b"]" * 5000 + b"}", "malformed_message"),
        (b'{"a":' * 100_000, "malformed_message"),
        (b'{"till_id": "t1", "coins": 1, "tip": 2}', "invalid_command"),
        (b'{"till_id": "t1", "coins": "many"}', "invalid_command"),
        (b'{"till_id": "t1", "coins": 0}', "invalid_command"),
        (b'{"till_id": "t1", "coins": 1.5}', "invalid_command"),
        (b'{"till_id": "t1", "coins": 123456789012345678901234567890}', "invalid_command"),
        (b'{"till_id": "t1", "coins": 1e30}', "invalid_command"),
        (b'{"till_id": ["t1"], "coins": 1}', "invalid_command"),
        (b'{"till_id": "t 1", "coins": 1}', "invalid_command"),
        (b'{"till_id": "t.1", "coins": 1}', "invalid_command"),
        (b'{"till_id": "", "coins": 1}', "invalid_command"),
        (b'{"till_id": "' + b"t" * 65 + b'", "coins": 1}', "invalid_command"),
        (b'{"till_id": "t1\\n", "coins": 1}', "invalid_command"),
        (b'{"till_id": "t1\\u0000", "coins": 1}', "invalid_command"),
        (b"", "invalid_command"),
        (b'{"till_id": "t99", "coins": 1}', "till_not_found"),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(
    open_tills: World, lane: Lane, body: bytes, code: str
) -> None:
    command_id = str(uuid4())
    answer = await give(open_tills, lane, "till.pay", body, command_id=command_id)
    assert (answer["ok"], answer["command_id"], answer["code"]) == (False, command_id, code)
    assert answer["message"]
    await still_serves(open_tills)


async def test_every_wrong_field_is_named(open_tills: World) -> None:
    answer = await open_tills.ask("till.pay", {"till_id": "t 1", "coins": "x", "tip": 1})
    assert set(answer["details"]["fields"]) == {"till_id", "coins", "tip"}
    assert "The fields are: till_id, coins." in answer["message"]


async def test_a_note_may_hold_anything_but_a_nul(open_tills: World) -> None:
    refused = await open_tills.ask("till.open_till", b'{"till_id": "t3", "note": "a\\u0000b"}')
    assert refused["code"] == "invalid_command"
    note = "\\u0000 spelled out, \x01, \U0001f600, \u2028, 1e30, 123456789012345678901234567890"
    assert (await open_tills.ask("till.open_till", {"till_id": "t3", "note": note}))["ok"]
    [event] = [event for event in await log(open_tills) if event["stream"] == "till-t3"]
    assert orjson.loads(event["data"])["note"] == note


@pytest.mark.parametrize("lane", LANES)
async def test_an_unknown_command_is_told_which_there_are(open_tills: World, lane: Lane) -> None:
    answer = await give(open_tills, lane, "till.pai", {"till_id": "t1"})
    assert answer["code"] == "unknown_command"
    assert "Did you mean pay?" in answer["message"]
    assert answer["details"]["known"] == sorted(command.wire_name() for command in till.till.obeys)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("token", ["ann.extra", "a$b", "\u00e9", "x" * 65])
async def test_a_subject_that_names_no_actor_is_refused(open_tills: World, lane: Lane, token: str) -> None:
    answer = await give(open_tills, lane, f"till.pay.{token}", {"till_id": "t1", "coins": 1})
    assert answer["code"] == "invalid_command"
    assert "subject" in answer["details"]["fields"]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("command_id", ["x" * 257, "a\x0bb", "a\x7fb", "a\u202eb"])
async def test_an_id_that_cannot_be_kept_is_refused(open_tills: World, lane: Lane, command_id: str) -> None:
    answer = await give(open_tills, lane, "till.pay", {"till_id": "t1", "coins": 1}, command_id=command_id)
    assert answer["code"] == "invalid_command"
    assert "ce-id" in answer["details"]["fields"]
    shorter = lane[0] + "x" * 255
    assert (await give(open_tills, lane, "till.pay", {"till_id": "t1", "coins": 1}, command_id=shorter))["ok"]


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        (b"ask.till.\xff\xfe", b""),
        (b"ask.till.pay inbox.\xff", b""),
        (b"cmd.till.pay.\xff", b""),
        (b"ask.till.pay", b"NATS/1.0\r\nce-id: \xff\xfe\x00\r\n\r\n"),
        (b"cmd.till.pay", b"NATS/1.0\r\nce-id: \xff\xfe\x00\r\n\r\n"),
        (b"cmd.till.pay", b"NATS/1.0\r\n\xff: \x00\r\n\r\n"),
        (b"ask.till.pay", b"NATS/1.0\r\nno colon\r\n\r\n"),
        (b"ask.till.pay", b"NATS/1.0 \xff\xff\xff \xff\r\n\r\n"),
        (b"cmd.till.pay", b"NATS/1.0 503 \xff\r\n\r\n"),
        (b"ask.till.pay", b"NATS/1.0\r\n\r\n"),
    ],
)
async def test_raw_bytes_in_subjects_and_headers_do_not_deafen_the_service(
    open_tills: World, subject: bytes, headers: bytes
) -> None:
    body = b'{"till_id": "t1", "coins": 1}'
    size = f" {len(headers)}" if headers else ""
    line = f" {len(headers) + len(body)}\r\n".encode()
    async with await nats.connect(open_tills.nats_url) as client:
        verb = b"HPUB " if headers else b"PUB "
        await client._send_command(verb + subject + size.encode() + line + headers + body + b"\r\n")
        await client.flush()
        await client.flush()
    for _ in range(2):
        await still_serves(open_tills)
    await until(lambda: queue_is_empty(open_tills))


@pytest.mark.parametrize("lane", LANES)
async def test_the_last_token_of_the_subject_is_the_actor(open_tills: World, lane: Lane) -> None:
    for actor, seen in (("ann", "ann"), (None, "anonymous")):
        answer = await give(open_tills, lane, "till.pay", {"till_id": "t1", "coins": 1}, actor=actor)
        position = answer["events"][0]["position"]
        message = (await open_tills.events(position))[-1]
        assert message.headers["ce-actor"] == seen


@pytest.mark.parametrize("lane", LANES)
async def test_only_a_monitor_may_close_a_till(open_tills: World, lane: Lane) -> None:
    closing = {"till_id": f"closing-{lane}"}
    await open_tills.ask("till.open_till", closing)
    for actor in (None, "ann", "till2", "Operator"):
        answer = await give(open_tills, lane, "till.close", closing, actor=actor)
        assert (answer["code"], answer["details"]) == (
            "not_authorised",
            {"required": "MONITOR", "held": "WORKER"},
        )
    assert (await give(open_tills, lane, "till.close", closing, actor="operator"))["ok"]


@pytest.mark.parametrize("lane", LANES)
async def test_the_broker_takes_no_body_of_two_megabytes(open_tills: World, lane: Lane) -> None:
    with pytest.raises(nats.errors.MaxPayloadError):
        await give(open_tills, lane, "till.open_till", {"note": "x" * 2_000_000})
    await still_serves(open_tills)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("size", [890_000, 950_000, 999_000, 1_040_000])
async def test_a_body_just_under_the_limit_is_published_or_refused_in_words(
    open_tills: World, lane: Lane, size: int
) -> None:
    answer = await give(open_tills, lane, "till.open_till", {"note": "x" * size})
    assert answer["ok"] or answer["code"] in {"malformed_message", "event_too_large"}, answer
    assert answer["ok"] == (size < 900_000)
    last = await open_tills.ask("till.pay", {"till_id": "t1", "coins": 1})
    await open_tills.events(last["events"][0]["position"])


@pytest.mark.parametrize("lane", LANES)
async def test_a_body_that_no_dead_letter_could_carry_is_refused(open_tills: World, lane: Lane) -> None:
    body = b'{"till_id": "t1"' + b" " * 1_046_500 + b"}"
    answer = await give(open_tills, lane, "till.stumble", body)
    assert answer["code"] == "malformed_message"
    await still_serves(open_tills)


@pytest.mark.parametrize("lane", LANES)
async def test_a_thousand_unknown_fields_do_not_make_a_message_that_nobody_can_carry(
    open_tills: World, lane: Lane
) -> None:
    body = {f"field_{number}_{'x' * 20}": 1 for number in range(20_000)}
    answer = await give(open_tills, lane, "till.pay", body)
    assert answer["code"] == "invalid_command"
    last = await open_tills.ask("till.pay", {"till_id": "t1", "coins": 1})
    await open_tills.events(last["events"][0]["position"])


async def test_a_fault_of_ours_is_admitted_at_once(open_tills: World) -> None:
    answer = await open_tills.ask("till.stumble", {"till_id": "t1"}, seconds=2)
    assert (answer["code"], answer["details"]) == ("internal_error", {"error": "ZeroDivisionError"})
    await still_serves(open_tills)


async def test_a_durable_command_that_meets_a_fault_of_ours_becomes_a_dead_letter(open_tills: World) -> None:
    await open_tills.send("till.stumble", {"till_id": "t1"}, ce_id="stumbling")
    await still_serves(open_tills)
    message = await until(lambda: last_dead(open_tills), 30)
    assert message.subject == "dead.till.commands"
    assert orjson.loads(message.data) == {"till_id": "t1"}
    assert message.headers["ce-id"] == "stumbling"
    assert "ZeroDivisionError" in message.headers["omoi-error"]
    await until(lambda: queue_is_empty(open_tills))


async def test_a_refused_durable_command_is_announced(open_tills: World) -> None:
    answer = await open_tills.tell("till.close", {"till_id": "t1"}, actor="ann", command_id="refused-1")
    [message] = await open_tills.events(1, subject="evt.command.refused.refused-1")
    assert int(message.headers["omoi-position"]) == len(await log(open_tills))
    announced = orjson.loads(message.data)
    assert announced["code"] == answer["code"] == "not_authorised"
    assert (announced["service"], announced["command"], announced["actor"]) == ("till", "close", "ann")


async def test_a_durable_command_without_an_answer_to_send_takes_effect(open_tills: World) -> None:
    await open_tills.ask("till.open_till", {"till_id": "quiet"})
    await open_tills.send("till.pay", {"till_id": "quiet", "coins": 7})
    await until(lambda: queue_is_empty(open_tills))
    assert (await open_tills.query("till.get_till", {"till_id": "quiet"}))["result"]["coins"] == 7


FORGED = (
    "evt.till.paid.t1",
    "cmd.till.close.operator",
    "ask.till.pay",
    "dead.till.commands",
    "wake.till",
    "qry.till.get_till",
    "$JS.API.STREAM.DELETE.EVENTS",
)


@pytest.mark.parametrize("subject", FORGED)
@pytest.mark.parametrize("way", ["reply_to header", "asked", "query"])
async def test_an_answer_never_goes_where_it_could_be_taken_for_something_else(
    open_tills: World, subject: str, way: str
) -> None:
    seen: list[bytes] = []

    async def note(message: Any) -> None:
        if b'"ok"' in message.data:
            seen.append(message.data)

    subscription = await open_tills.client.subscribe(subject, cb=note)
    body = orjson.dumps({"till_id": "t1", "coins": 1})
    if way == "reply_to header":
        await open_tills.client.jetstream().publish("cmd.till.pay", body, headers={"reply_to": subject})
        await until(lambda: queue_is_empty(open_tills))
    else:
        name = "ask.till.pay" if way == "asked" else "qry.till.get_till"
        await open_tills.client.publish(name, body, reply=subject)
    await still_serves(open_tills)
    await still_serves(open_tills)
    await open_tills.client.flush()
    assert seen == []
    await open_tills.client.jetstream().stream_info("EVENTS")
    await subscription.unsubscribe()


@pytest.mark.parametrize("reply", ["foo..bar", ".foo", "foo.", "a.*", "a.>", "a\x01b"])
async def test_a_reply_subject_that_is_none_does_no_harm(open_tills: World, reply: str) -> None:
    body = orjson.dumps({"till_id": "t1", "coins": 1})
    await open_tills.client.publish("ask.till.pay", body, reply=reply)
    await open_tills.client.jetstream().publish("cmd.till.pay", body, headers={"reply_to": reply})
    await until(lambda: queue_is_empty(open_tills))
    await still_serves(open_tills)


@pytest.mark.parametrize("lane", LANES)
async def test_a_refusal_is_given_again_under_the_same_id(open_tills: World, lane: Lane) -> None:
    payment = {"till_id": f"late-{lane}", "coins": 1}
    answer = await give(open_tills, lane, "till.pay", payment, command_id=f"early-{lane}")
    assert answer["code"] == "till_not_found"
    await open_tills.ask("till.open_till", {"till_id": f"late-{lane}"})
    assert await give(open_tills, lane, "till.pay", payment, command_id=f"early-{lane}") == answer


async def test_a_message_published_twice_under_one_id_is_one_command(open_tills: World) -> None:
    js = open_tills.client.jetstream()
    body = orjson.dumps({"till_id": "t1", "coins": 1})
    for _ in range(2):
        await js.publish("cmd.till.pay", body, headers={"Nats-Msg-Id": "m1"})
    await until(lambda: queue_is_empty(open_tills))
    await open_tills.ask("till.pay", {"till_id": "t1", "coins": 1}, command_id="m1")
    await check_once(open_tills, ["m1"])


async def test_two_messages_without_ids_are_two_commands(open_tills: World) -> None:
    before = len(await effects(open_tills))
    for _ in range(2):
        await open_tills.send("till.pay", {"till_id": "t1", "coins": 1})
    await until(lambda: queue_is_empty(open_tills))
    assert len(await effects(open_tills)) == before + 2


async def test_hostile_dead_letter_orders_are_answered(open_tills: World) -> None:
    for body in (b"{", b"[]", b'{"id": "x"}', b"{}", b'{"id": 1e30}', b'{"id": null}', b'{"id": 99}'):
        for command in ("retry_dead", "drop_dead"):
            answer = await open_tills.ask(f"till.{command}", body, actor="operator", seconds=3)
            assert not answer["ok"]
            assert answer["code"] in {"malformed_message", "invalid_command", "dead_letter_not_found"}
    for subject in ("till.retry_dead", "till.retry_dead.ann"):
        assert (await open_tills.ask(subject, {"id": 1}))["code"] == "not_authorised"
    assert (await open_tills.ask("till.retry_dead.operator.x", {"id": 1}))["code"] == "invalid_command"


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("get_till", b"{", "malformed_message"),
        ("get_till", b"{}", "invalid_command"),
        ("get_till", b'{"till_id": "t99"}', "till_not_found"),
        ("get_tills", b"{}", "unknown_query"),
        ("events", b'{"from": "x"}', "invalid_command"),
        ("events", b'{"limit": -1}', "invalid_command"),
        ("events", b'{"from": 1e30}', "invalid_command"),
        ("dead", b'{"id": "x"}', "invalid_command"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused_in_words(
    open_tills: World, query: str, body: bytes, code: str
) -> None:
    answer = await open_tills.query(f"till.{query}", body)
    assert (answer["ok"], answer["code"]) == (False, code)


async def test_ids_are_minted_where_none_is_given(open_tills: World) -> None:
    answers = [await open_tills.ask("till.pay", {"till_id": "t1", "coins": 1}) for _ in range(2)]
    assert answers[0]["command_id"] != answers[1]["command_id"]
    assert (await open_tills.ask("till.pay", {"till_id": "t1", "coins": 1}, command_id=str(uuid4())))["ok"]
