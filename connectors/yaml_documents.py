"""YAML as plain data: no tags that make objects, no references that multiply a short text, no depth that stops us."""

import yaml

MOST_CHARACTERS = 2 << 20
# Written out: the largest mappings and form definitions have some thousand nodes.
MOST_NODES = 200_000
MOST_LEVELS = 100
# libyaml reads ten times as fast. It composes by calling itself on the bare stack: nothing is composed that was not seen
# to be shallow.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnsoundYamlError(ValueError):
    """The text is no plain YAML; the message says why and in which line, and repeats nothing of it."""


def read_yaml(text: str) -> tuple[yaml.Node | None, object]:
    """The document with its lines, and as plain data ({} where there is none). Raises UnsoundYamlError."""
    if len(text) > MOST_CHARACTERS:
        raise UnsoundYamlError(f"line 1: it is longer than {MOST_CHARACTERS} characters")
    try:
        if _is_deep(text):
            raise RecursionError
        node = yaml.compose(text, Loader=_LOADER)
        if node is not None and _size(node, {}) > MOST_NODES:
            raise UnsoundYamlError("line 1: its references (*name) make it too large: write them out")
        return node, yaml.SafeLoader("").construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnsoundYamlError(f"line {line}: no valid YAML: {error.problem}. Check indentation and quotes") from None
    except yaml.YAMLError:
        raise UnsoundYamlError("line 1: no valid YAML: it holds characters that no text has") from None
    except RecursionError:
        raise UnsoundYamlError("line 1: no valid YAML: it is nested too deeply, or in itself") from None
    except UnicodeEncodeError:
        raise UnsoundYamlError("line 1: no valid YAML: it holds characters that no text has") from None
    except ValueError as error:
        if isinstance(error, UnsoundYamlError):
            raise
        raise UnsoundYamlError("line 1: no valid YAML: a number or date in it is none") from None


def _is_deep(text: str) -> bool:
    levels = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
            if levels > MOST_LEVELS:
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
    return False


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes a node has when each reference is written out. RecursionError where one holds itself."""
    if id(node) not in known:
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else []
        children += node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
