"""YAML as people write it: plain values only, without what makes a small file enormous."""

from typing import Any

import yaml

from kowai.errors import InvalidInput


def load(text: str, name: str, bad: type[InvalidInput]) -> Any:
    """Return what the YAML text says; times stay text. Raises `bad`, with the line where that is known."""
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506 -- derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1:,}" if error.problem_mark else ""
        raise bad(f"{name} is not valid YAML{place}: {error.problem}.", operator=str(error)[:500]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise bad(f"{name} is not valid YAML.", operator=str(error)[:500]) from error


class _PlainLoader(yaml.SafeLoader):
    """Refuse aliases, by which a small file becomes an enormous one, and leave times as they are written."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
