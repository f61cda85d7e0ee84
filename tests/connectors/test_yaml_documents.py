"""YAML as plain data: what would exhaust us is refused, and never takes the process down."""

import pytest

from connectors.yaml_documents import MOST_LEVELS, MOST_NODES, UnsoundYamlError, read_yaml

MANY = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * MANY,
        "[" * MANY + "]" * MANY,
        "{a: " * MANY,
        "- " * MANY + "a",
        "\n".join(" " * n + "a:" for n in range(1500)),
    ],
    ids=["open lists", "lists", "maps", "items", "block"],
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(UnsoundYamlError, match="nested too deeply"):
        read_yaml(text)


def test_what_is_as_deep_as_may_be_is_read() -> None:
    _, content = read_yaml("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    for _ in range(MOST_LEVELS - 1):
        assert isinstance(content, list)
        [content] = content
    assert content == []


def test_what_holds_itself_is_refused() -> None:
    with pytest.raises(UnsoundYamlError, match="in itself"):
        read_yaml("a: &a [*a]")


def test_references_that_multiply_are_refused() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, len(str(MOST_NODES)))]
    with pytest.raises(UnsoundYamlError, match="references"):
        read_yaml("\n".join(lines))


@pytest.mark.parametrize("text", ["a: \ud800", "a: \x00"])
def test_characters_that_no_text_has_are_told(text: str) -> None:
    with pytest.raises(UnsoundYamlError, match="characters that no text has"):
        read_yaml(text)


def test_the_line_of_a_fault_is_told_and_nothing_of_the_text() -> None:
    with pytest.raises(UnsoundYamlError, match=r"^line 2: no valid YAML: mapping values are not") as raised:
        read_yaml("a: 1\nmarker: b: c\n")
    assert "marker" not in str(raised.value)
