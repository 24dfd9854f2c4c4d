"""Threads and inboxes as agents meet them: over the wire."""

import asyncio

from tests.collaboration.conftest import Office


async def test_a_message_reaches_every_inbox_once_and_is_read_by_each_alone(office: Office) -> None:
    thread = await office.done(
        "ann", "collaboration.open_thread", kind="review", topic="The door", participants=["bob", "eve"]
    )
    assert thread["participants"] == ["ann", "bob", "eve"]
    body = {"thread_id": thread["thread_id"], "text": "Does it open?", "message_id": "m-1"}
    sent = await office.done("ann", "collaboration.send_message", **body)
    assert await office.done("ann", "collaboration.send_message", **body) == sent
    assert (await office.texts("bob"), await office.texts("eve")) == (["Does it open?"], ["Does it open?"])
    assert await office.texts("ann") == []
    marked = await office.done("bob", "collaboration.mark_read", message_ids=["m-1"])
    assert marked["message_ids"] == ["m-1"]
    assert (await office.texts("bob"), await office.texts("eve")) == ([], ["Does it open?"])
    assert await office.texts("bob", unread_only=False) == ["Does it open?"]
    view = await office.query("collaboration.get_thread", thread_id=thread["thread_id"], agent_id="bob")
    assert [message["read_by"] for message in view["messages"]] == [["bob"]]
    assert (view["message_count"], view["thread"]["unread"]) == (1, 0)
    assert view["messages"][0]["read_at"]


async def test_pages_of_a_thread_and_of_an_inbox_hold_everything_in_order(office: Office) -> None:
    opened = {"thread_id": "t", "kind": "consultation", "topic": "Count", "participants": "bob"}
    await office.done("ann", "collaboration.open_thread", **opened)
    texts = [f"{number:02}" for number in range(25)]
    for number, text in enumerate(texts):
        await office.done(
            "ann", "collaboration.send_message", thread_id="t", text=text, message_id=f"m-{number}"
        )
    newest = await office.query("collaboration.get_thread", thread_id="t", limit=10)
    assert [message["text"] for message in newest["messages"]] == texts[15:]
    assert newest["more"]
    before = newest["messages"][0]["place"]
    older = await office.query("collaboration.get_thread", thread_id="t", limit=15, before=before)
    assert [message["text"] for message in older["messages"]] == texts[:15]
    assert not older["more"]
    after = older["messages"][-1]["place"]
    again = await office.query("collaboration.get_thread", thread_id="t", limit=10, after=after)
    assert again["messages"] == newest["messages"]
    found: list[str] = []
    place: int | None = 0
    while place is not None:
        page = await office.query("collaboration.inbox", agent_id="bob", limit=10, after=place)
        assert page["unread"] == 25
        found += [message["text"] for message in page["messages"]]
        place = page["next_after"]
    assert found == texts
    marked = await office.done("bob", "collaboration.mark_read", up_to="m-20")
    assert (len(marked["message_ids"]), marked["more"]) == (21, False)
    assert await office.texts("bob") == texts[21:]


async def test_at_most_a_page_of_messages_is_marked_at_a_time(office: Office) -> None:
    opened = {"thread_id": "t", "kind": "consultation", "topic": "Count", "participants": "bob"}
    await office.done("ann", "collaboration.open_thread", **opened)
    async with asyncio.TaskGroup() as group:
        for number in range(520):
            body = {"thread_id": "t", "text": "x", "message_id": f"m-{number}"}
            group.create_task(office.done("ann", "collaboration.send_message", **body))
    last = (await office.query("collaboration.inbox", agent_id="bob", limit=200, after=0))["messages"][0]
    newest = await office.query("collaboration.get_thread", thread_id="t", limit=1)
    up_to = newest["messages"][0]["message_id"]
    assert last["message_id"] != up_to
    first = await office.done("bob", "collaboration.mark_read", up_to=up_to)
    assert (len(first["message_ids"]), first["more"]) == (500, True)
    second = await office.done("bob", "collaboration.mark_read", up_to=up_to)
    assert (len(second["message_ids"]), second["more"]) == (20, False)
    assert await office.texts("bob") == []


async def test_lists_show_an_agent_its_own_threads_newest_first(office: Office) -> None:
    for number in range(3):
        body = {"thread_id": f"t-{number}", "kind": "review", "topic": "x", "participants": ["bob"]}
        await office.done("ann", "collaboration.open_thread", **body)
    await office.done("eve", "collaboration.open_thread", thread_id="own", kind="consultation", topic="y")
    await office.done("ann", "collaboration.close_thread", thread_id="t-1")
    listed = await office.query("collaboration.list_threads", agent_id="bob", limit=2)
    assert [thread["thread_id"] for thread in listed["threads"]] == ["t-2", "t-1"]
    rest = await office.query("collaboration.list_threads", agent_id="bob", before=listed["next_before"])
    assert ([thread["thread_id"] for thread in rest["threads"]], rest["next_before"]) == (["t-0"], None)
    open_ones = await office.query("collaboration.list_threads", status="open", kind="review")
    assert [thread["thread_id"] for thread in open_ones["threads"]] == ["t-2", "t-0"]


async def test_nobody_else_reads_under_the_name_of_an_outsider(office: Office) -> None:
    await office.done("ann", "collaboration.open_thread", thread_id="t", kind="review", topic="x")
    body = {"thread_id": "t", "agent_id": "eve"}
    answer = await office.world.query("collaboration.get_thread", body)
    assert answer["code"] == "not_a_participant"
    assert await office.refused("eve", "collaboration.close_thread", thread_id="t") == "not_a_participant"


async def test_the_names_on_the_wire_are_those_that_are_published(office: Office) -> None:
    await office.done(
        "ann",
        "collaboration.open_thread",
        thread_id="t",
        kind="review",
        topic="x",
        ticket_id="T-1",
        participants=["bob"],
    )
    await office.done("ann", "collaboration.send_message", thread_id="t", text="hi")
    await office.done("ann", "collaboration.close_thread", thread_id="t")
    hired = 3
    heard = await office.world.events(hired + 4, subject="evt.collaboration.>")
    assert [message.subject for message in heard[hired:]] == [
        "evt.collaboration.thread_opened.T-1",
        "evt.collaboration.message_sent.T-1",
        "evt.collaboration.message_delivered.bob",
        "evt.collaboration.thread_closed.T-1",
    ]
