"""`omoi ticket timeline` beside a running stack."""

from tests.system.conftest import System


def test_a_timeline_tells_what_happened_and_what_had_happened_then(system: System) -> None:
    opened = system.json("ticket", "open", "Sum it up", "--json")["result"]
    ticket_id = opened["ticket_id"]
    system.json("ticket", "transition", ticket_id, "PHASE_REQUIREMENTS", "--json")

    def told(*options: str) -> list[str]:
        found = system.json("ticket", "timeline", ticket_id, *options, "--json")
        return [entry["text"] for entry in found["entries"]]

    first = 'operator opened the ticket "Sum it up" in PHASE_BACKLOG'
    second = "The ticket moved from PHASE_BACKLOG to PHASE_REQUIREMENTS"
    for _ in range(50):
        if len(told()) > 1:
            break
    assert told()[:2] == [first, second]
    [entry] = system.json("ticket", "timeline", ticket_id, "--json")["entries"][:1]
    assert told("--at", str(entry["sequence"])) == [first]
    assert system.cli("ticket", "timeline", "nothing").returncode == 1
