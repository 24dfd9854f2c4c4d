"""A sound workflow file, and its mistakes: what stands for what, then the line, the key and the words."""

from itertools import pairwise

GOOD = """\
name: errands
initial_phase: TODO
blocked_phase: HOLD
phases:
  - id: TODO
    name: To do
    sequence_order: 0
    allowed_transitions: [DOING]
  - id: DOING
    name: Doing
    sequence_order: 1
    allowed_transitions:
      - DONE
      - HOLD
    auto_advance: true
    tasks:
      - id: go
      - id: buy
        depends_on: [go]
        priority: HIGH
  - {id: DONE, name: Done, sequence_order: 2, is_terminal: true}
  - id: HOLD
    name: On hold
    sequence_order: 3
    allowed_transitions: [DOING]
columns:
  - {id: all, phases: [TODO, DOING, DONE, HOLD]}
retry: {max_retries: 1}
"""

BROKEN: dict[str, tuple[str, str, int, str, str]] = {
    "unclosed bracket": ("[DOING]\n  - id: DOING", "[DOING\n  - id: DOING", 9, "", "expected ',' or ']'"),
    "unclosed quotation": ("name: Doing", 'name: "Doing', 10, "", "never closed"),
    "tab as indentation": ("    name: To do", "\tname: To do", 6, "", "this is a tab"),
    "wrong indentation": ("    name: Doing", "   name: Doing", 10, "", "This is not YAML: "),
    "key given twice": (
        "    name: To do",
        "    name: To do\n    name: Do",
        7,
        "phases[0].name",
        "name is given twice",
    ),
    "key given twice at the top": (
        "columns:\n",
        "name: again\ncolumns:\n",
        26,
        "name",
        "name is given twice",
    ),
    "two documents": ("columns:\n", "---\ncolumns:\n", 26, "", "one document"),
    "control character": ("name: Doing", "name: Do\x07ing", 10, "", "no character U+0007"),
    "NUL": ("name: Doing", 'name: "Do\\0ing"', 10, "phases[1].name", "U+0000 cannot be stored"),
    "half of a pair": ("name: Doing", 'name: "\\uD800"', 10, "phases[1].name", "U+D800 cannot be stored"),
    "number beyond 64 bits": (
        "sequence_order: 1",
        "sequence_order: 99999999999999999999",
        11,
        "phases[1].sequence_order",
        "64 bits",
    ),
    "no number": ("max_retries: 1", "cap_seconds: .nan", 28, "retry.cap_seconds", "nan is no number"),
    "not of its type": ("max_retries: 1", "max_retries: !!int one", 28, "", "'one' is not of its type"),
    "object that Python would build": (
        "name: Doing",
        "name: !!python/name:os.system",
        10,
        "",
        "could not determine a constructor",
    ),
    "unknown alias": ("phases: [TODO, DOING", "phases: *all  #", 27, "", "undefined alias"),
    "alias within itself": ("retry: {", "settings: &me {me: *me}\nretry: {", 1, "", "contains it"),
    "aliases that grow": (
        "retry: {",
        "settings:\n  - &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"  - &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))
        + "retry: {",
        1,
        "",
        "Aliases make it larger",
    ),
    "text that is too long": ("To do", "T" * 300_000, 1, "", "at most 131072 are read"),
    "nested too deep": ("name: Doing", f"name: {'[' * 5000}", 10, "", "nested deeper"),
    "no mapping": (GOOD, "- name", 1, "", "A workflow is a mapping"),
    "nothing at all": (GOOD, "", 1, "", "The document is empty"),
    "only a comment": (GOOD, "# nothing yet\n", 1, "", "The document is empty"),
    "field missing": ("    name: Doing\n", "", 9, "phases[1].name", "This field is required."),
    "field missing at the top": ("name: errands\n", "", 1, "name", "This field is required."),
    "field misspelt": (
        "blocked_phase:",
        "blocked_fase:",
        3,
        "blocked_fase",
        "There is no such field. Did you mean blocked_phase?",
    ),
    "field misspelt far down": (
        "depends_on:",
        "depends:",
        19,
        "phases[1].tasks[1].depends",
        "Did you mean depends_on?",
    ),
    "text for a number": (
        "sequence_order: 1",
        "sequence_order: first",
        11,
        "phases[1].sequence_order",
        'A whole number is needed here, not "first".',
    ),
    "absurd position": (
        "sequence_order: 1",
        "sequence_order: 20260101",
        11,
        "phases[1].sequence_order",
        "At most 10000 is allowed here, not 20260101.",
    ),
    "text for a list": (
        "allowed_transitions: [DOING]\n  - id: DOING",
        "allowed_transitions: DOING\n  - id: DOING",
        8,
        "phases[0].allowed_transitions",
        'A list is needed here, not "DOING".',
    ),
    "mapping for a text": (
        "name: Doing",
        "name: {en: Doing}",
        10,
        "phases[1].name",
        'Text is needed here, not {"en":"Doing"}.',
    ),
    "text for a phase": (
        "  - {id: DONE,",
        "  - DONE\n  - {id: DONE,",
        21,
        "phases[2]",
        "A mapping is needed",
    ),
    "word for yes or no": (
        "auto_advance: true",
        "auto_advance: sometimes",
        15,
        "phases[1].auto_advance",
        'true or false is needed here, not "sometimes".',
    ),
    "priority that is none": (
        "priority: HIGH",
        "priority: URGENT",
        20,
        "phases[1].tasks[1].priority",
        "This is 'LOW', 'MEDIUM', 'HIGH' or 'CRITICAL', not \"URGENT\".",
    ),
    "id that is no token": (
        "- id: go\n",
        "- id: go now\n",
        17,
        "phases[1].tasks[0].id",
        '"go now" is no name',
    ),
    "on_failure that is no token": (
        "    auto_advance: true",
        "    auto_advance: true\n    on_failure: back to TODO",
        16,
        "phases[1].on_failure",
        "This is 'stay', not \"back to TODO\". Or: ",
    ),
    "too many retries": ("max_retries: 1", "max_retries: 900", 28, "retry.max_retries", "At most 100"),
    "negative wait": ("max_retries: 1", "cap_seconds: -1", 28, "retry.cap_seconds", "At least 0"),
    "wait in another unit": (
        "priority: HIGH",
        "timeout_seconds: 86400000",
        20,
        "phases[1].tasks[1].timeout_seconds",
        "At most 3.16224e+07",
    ),
    "longest wait below the first": (
        "max_retries: 1",
        "cap_seconds: 0.5",
        28,
        "retry.cap_seconds",
        "0.5 is less than the first wait of 1 seconds.",
    ),
    "priorities the wrong way round": (
        "retry: {max_retries: 1}",
        "ranking: {high_seconds: 10}",
        28,
        "ranking",
        "A higher priority must not be dispatched later",
    ),
    "limit of no cards": ("id: all,", "id: all, wip_limit: 0,", 27, "columns[0].wip_limit", "At least 1"),
    "no phases": (GOOD[GOOD.index("phases:") :], "phases: []\n", 4, "phases", "At least one is needed"),
    "way to an unknown phase": (
        "- DONE\n",
        "- DON\n",
        13,
        "phases[1].allowed_transitions[0]",
        "no phase DON. Did you mean DONE? There are: TODO, DOING, DONE, HOLD.",
    ),
    "failure to an unknown phase": (
        "auto_advance: true",
        "auto_advance: true\n    on_failure: TOODO",
        16,
        "phases[1].on_failure",
        "no phase TOODO. Did you mean TODO?",
    ),
    "unknown initial phase": ("initial_phase: TODO", "initial_phase: X", 2, "initial_phase", "no phase X"),
    "unknown phase in a column": ("DONE, HOLD]", "DONE, HOLD, X]", 27, "columns[0].phases[4]", "no phase X"),
    "unknown column": ("id: all,", "id: all, auto_to: al,", 27, "columns[0].auto_to", "no other column al"),
    "phase defined twice": ("- {id: DONE", "- {id: DOING", 21, "phases[2].id", "DOING is defined twice"),
    "task waiting for an unknown one": (
        "depends_on: [go]",
        "depends_on: [went]",
        19,
        "phases[1].tasks[1].depends_on[0]",
        "There is no task template went.",
    ),
    "task waiting for itself": (
        "depends_on: [go]",
        "depends_on: [buy]",
        19,
        "phases[1].tasks[1].depends_on",
        "Tasks wait for each other: buy -> buy.",
    ),
    "unreachable phase": ("      - HOLD\n", "", 21, "phases[3].id", "HOLD cannot be reached from TODO."),
    "no terminal phase": (", is_terminal: true", "", 4, "phases", "No phase is terminal"),
    "phase in two columns": (
        "DONE, HOLD]",
        "DONE, HOLD, TODO]",
        27,
        "columns[0].phases[4]",
        "TODO is in column all",
    ),
    "unknown placeholder": (
        "priority: HIGH",
        "title: Buy for {ticket_titel}",
        20,
        "phases[1].tasks[1].title",
        "no placeholder {ticket_titel}. Did you mean ticket_title?",
    ),
    "unknown criterion": (
        "auto_advance: true",
        "expected_outputs: [{type: bill, min_lenght: 3}]",
        15,
        "phases[1].expected_outputs[0].min_lenght",
        "There is no criterion min_lenght. Did you mean min_length?",
    ),
    "field of an output misspelt": (
        "auto_advance: true",
        "expected_outputs: [{type: bill, requird: false}]",
        15,
        "phases[1].expected_outputs[0].requird",
        "Did you mean required?",
    ),
    "percentage as text": (
        "auto_advance: true",
        'gate:\n      criteria:\n        - type: bill\n          min_percentage: "80%"',
        18,
        "phases[1].gate.criteria[0].min_percentage",
        'min_percentage takes a number from 0 to 100, not "80%".',
    ),
    "percentage beyond all": (
        "auto_advance: true",
        "expected_outputs: [{type: bill, min_percentage: 180}]",
        15,
        "phases[1].expected_outputs[0].min_percentage",
        "min_percentage takes a number from 0 to 100, not 180.",
    ),
    "pattern outside the repository": (
        "auto_advance: true",
        "expected_outputs: [{type: bill, pattern: ../bill.md}]",
        15,
        "phases[1].expected_outputs[0].pattern",
        "it goes out of the repository",
    ),
    "pattern with an open bracket": (
        "auto_advance: true",
        'expected_outputs: [{type: bill, file_pattern: ["*.md", "bill[0-9.md"]}]',
        15,
        "phases[1].expected_outputs[0].file_pattern",
        "a [ is not closed",
    ),
}
