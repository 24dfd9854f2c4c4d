"""A ticket's graph as text, as Mermaid and as SVG."""

import re
from itertools import pairwise

import pytest
from defusedxml import ElementTree
from hypothesis import given, settings
from hypothesis import strategies as st

from omoi.drawing import mermaid, svg, terminal
from omoi.drawing.layout import NODE_HEIGHT, layout, path
from omoi.drawing.shape import Shape, shape
from omoi.drawing.strokes import ASCII, UNICODE, Strokes
from tests.omoi.pictured import HOSTILE, branched, edge, graph, grown, node

DRAWN = """\
   IMPLEMENTATION
╭─▸○ 1 Fix the comma
│  ● 2 Build it            coder-2
│  · 3 Build it (visit 2)  part of 2
│  TESTING <
│  ● 4 Write the tests     coder-1
│  ◑ 5 Run the tests       after 4  coder-1
╰─     ◆ → 1  bug: A comma at the end is read"""
PLAIN = """\
   IMPLEMENTATION
.->o 1 Fix the comma
|  * 2 Build it            coder-2
|  . 3 Build it (visit 2)  part of 2
|  TESTING <
|  * 4 Write the tests     coder-1
|  @ 5 Run the tests       after 4  coder-1
'-     ! -> 1  bug: A comma at the end is read"""


def test_a_branch_is_a_line_from_what_was_found_to_the_task_made_for_it() -> None:
    assert terminal.draw(shape(branched())).plain == DRAWN


NESTED = """\
     DESIGN
╭───▸● 1 Sketch
│    IMPLEMENTATION
│ ╭─▸● 2 Fix
│╭┼─▸● 3 Mend
││╰─     ◆ → 2  bug: near
││   TESTING
││   ● 4 Try
╰┼──     ◆ → 1  clarification_needed: far
 ╰──     ◆ → 3  bug: middle"""


def test_branches_that_pass_each_other_have_lines_of_their_own() -> None:
    crossing = graph(
        [
            node("try", "TESTING", "Try"),
            node("fix", "IMPLEMENTATION", "Fix"),
            node("mend", "IMPLEMENTATION", "Mend"),
            node("sketch", "DESIGN", "Sketch"),
        ],
        [
            edge("try", "sketch", "discovery", "clarification_needed", "far"),
            edge("try", "mend", "discovery", "bug", "middle"),
            edge("mend", "fix", "discovery", "bug", "near"),
        ],
    )
    drawn = terminal.draw(shape(crossing)).plain
    assert drawn.replace("TESTING <", "TESTING") == NESTED


def test_where_only_ascii_is_shown_the_picture_says_the_same() -> None:
    assert terminal.draw(shape(branched()), strokes=ASCII).plain == PLAIN


def test_a_ticket_without_tasks_has_a_picture_too() -> None:
    empty = shape(graph([], []))
    assert terminal.draw(empty).plain == "There are no tasks."
    assert mermaid.draw(empty) == "flowchart LR\n"
    assert ElementTree.fromstring(svg.draw(empty)) is not None


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("strokes", [UNICODE, ASCII])
def test_no_line_of_two_hundred_tasks_is_wider_than_the_terminal(width: int, strokes: Strokes) -> None:
    drawn = terminal.draw(shape(grown(200)), width=width, strokes=strokes)
    lines = drawn.split("\n")
    assert max(line.cell_len for line in lines) <= width
    assert all(re.search(rf"\b{number} Task", drawn.plain) for number in range(1, 201))
    assert drawn.plain.isascii() is strokes.ascii_only


def test_what_needs_another_task_comes_after_it_and_visits_come_in_order() -> None:
    drawn = shape(grown(200, seed=2))
    phase = {each.number: (each.phase, each.visit) for each in drawn.nodes}
    same = [each for each in drawn.edges_of("dependency") if phase[each.source] == phase[each.target]]
    assert same
    assert all(each.source < each.target for each in same)
    assert all(a.visit <= b.visit for a, b in pairwise(drawn.nodes) if a.phase == b.phase)


def test_tasks_that_wait_for_each_other_in_a_circle_are_shown_all_the_same() -> None:
    circle = graph(
        [node("a", "DESIGN", "A"), node("b", "DESIGN", "B")],
        [edge("a", "b", "dependency"), edge("b", "a", "dependency")],
    )
    assert [each.title for each in shape(circle).nodes] == ["A", "B"]
    assert svg.draw(shape(circle)).count('class="node"') == 2


def test_mermaid_shows_phases_tasks_and_how_they_hang_together() -> None:
    drawn = mermaid.draw(shape(branched()))
    assert '  subgraph p0["IMPLEMENTATION"]' in drawn
    assert '    n5["◑ 5. Run the tests<br/>coder-1"]:::running' in drawn
    assert "  n4 --> n5\n" in drawn
    assert '  n5 -. "bug: A comma at the end is read" .-> n1\n' in drawn
    assert '  n2 -. "part" .-> n3\n' in drawn
    assert "  classDef running stroke:#0969da,stroke-width:2px\n" in drawn


def hostile() -> Shape:
    return shape(
        graph(
            [node("a", "TESTING", HOSTILE), node("b", "TESTING", HOSTILE, status="failed")],
            [edge("a", "b", "discovery", "bug", HOSTILE)],
            title=HOSTILE,
        )
    )


def test_no_title_gets_out_of_its_quotes_in_mermaid() -> None:
    for line in mermaid.draw(hostile()).splitlines():
        assert line.count('"') in (0, 2), line
        quoted = line.partition('"')[2].rpartition('"')[0].replace("<br/>", "")
        assert re.fullmatch(r"([^<>&\"`#;\[\]\x1b]|#\d+;)*", quoted), quoted


def test_no_title_gets_out_of_its_element_in_svg_or_moves_the_cursor() -> None:
    drawn = svg.draw(hostile())
    tree = ElementTree.fromstring(drawn)
    assert {element.tag.rpartition("}")[2] for element in tree.iter()} == {
        "svg", "title", "style", "defs", "marker", "path", "rect", "text", "tspan", "g",
    }  # fmt: skip
    assert "\x1b" not in drawn + terminal.draw(hostile()).plain
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_every_task_and_every_discovery_is_in_the_svg() -> None:
    drawn = svg.draw(shape(grown(60)))
    assert drawn.count('class="node"') == 60
    assert drawn.count('class="edge found"') == len(shape(grown(60)).edges_of("discovery")) > 0
    assert "prefers-color-scheme: dark" in drawn


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 120), seed=st.integers(0, 10_000))
def test_no_two_tasks_overlap_and_no_long_line_runs_across_a_task(size: int, seed: int) -> None:
    drawn = shape(grown(size, seed))
    placed = layout(drawn)
    assert len({(box.column, box.row) for box in placed.boxes.values()}) == size
    rows = {box.top for box in placed.boxes.values()}
    for index, each in enumerate(drawn.edges):
        way, _, _ = path(each, placed.boxes, 4 * (index % 5 - 2))
        for y in re.findall(r"L-?\d+,(\d+)", way):
            assert not any(top <= int(y) <= top + NODE_HEIGHT for top in rows)
