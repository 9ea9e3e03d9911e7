"""Reading Terraform's files, for `check` and `arguments`."""

import functools
import re

import hcl2

BLOCK = "__is_block__"


@functools.cache
def loads(text):
    """The tree of a file, without its comments, which stand on lines of their own."""
    return hcl2.loads(re.sub(r"(?m)^\s*#.*$", "", text))


def resources(file):
    """Each resource and data source: kind, type, name, body."""
    for kind in ["resource", "data"]:
        for entry in file.get(kind, []):
            for type_, named in labelled(entry):
                for name, body in labelled(named):
                    yield kind, type_, name, body


def labelled(entry):
    """What stands under labels, without their quotes."""
    return [(label.strip('"'), body) for label, body in entry.items() if label != BLOCK]


def blocks(body):
    """The blocks of a body: name and body of each; of a dynamic one, what it makes."""
    for name, values in body.items():
        for value in values if isinstance(values, list) else []:
            if name == "dynamic":
                for label, made in labelled(value):
                    yield from ((label, content) for content in made["content"])
            elif isinstance(value, dict) and BLOCK in value:
                yield name, value


def arguments(body):
    """The arguments of a body, by name."""
    of_blocks = {name for name, _ in blocks(body)} | {"dynamic"}
    return {name: value for name, value in body.items() if name not in of_blocks and name != BLOCK}
