from xml.etree.ElementTree import Element, fromstring

from omoi.worker.cobertura import coverage_in


def report(**hits: str) -> Element:
    """Files with the hit counts of their lines, such as a="110"."""
    classes = "".join(
        f'<class filename="{name}.py"><methods/><lines>'
        + "".join(f'<line number="{number}" hits="{hit}"/>' for number, hit in enumerate(lines, start=1))
        + "</lines></class>"
        for name, lines in hits.items()
    )
    return fromstring(f"<coverage line-rate='1'><packages><classes>{classes}</classes></packages></coverage>")


def test_lines_are_counted_by_file() -> None:
    assert coverage_in([report(a="1101", b="00", empty="")]) == {
        "percentage": 50.0,
        "lines_valid": 6,
        "lines_covered": 3,
        "per_file": {"a.py": 75.0, "b.py": 0.0, "empty.py": 100.0},
    }


def test_a_percentage_is_cut_so_that_almost_is_not_enough() -> None:
    assert coverage_in([report(a="1" * 79_996 + "0" * 20_004)])["percentage"] == 79.99


def test_nothing_measured_is_nothing_covered() -> None:
    assert coverage_in([fromstring("<coverage line-rate='1.0' lines-valid='0'/>")])["percentage"] == 0.0


def test_reports_of_one_file_add_up_line_by_line() -> None:
    found = coverage_in([report(a="1100"), report(a="0110")])
    assert (found["lines_valid"], found["lines_covered"]) == (4, 3)


def test_a_line_named_by_a_method_and_by_its_class_counts_once() -> None:
    line = "<line number='1' hits='1'/>"
    method = f"<methods><method><lines>{line}</lines></method></methods>"
    both = f"<coverage><class filename='a'>{method}<lines>{line}</lines></class></coverage>"
    assert coverage_in([fromstring(both)])["lines_valid"] == 1
