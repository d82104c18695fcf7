"""Look at the facts that a run is given before it starts: a file that cannot be read, or measured, costs no training."""

import functools
import re
import warnings
from collections.abc import Mapping

import torch

from ..graphs import named_graph, reading
from ..measures import geometric_order
from .parameters import Parameter

FACTS = re.compile(r"\bfile of facts\b(?: of at most ([\d,]+) nodes)?(.*\bwith an order\b)?")
READING = ("sep", "columns", "header")
"""Parameters of a chapter that say how its file of facts is written, as ``reading`` takes them."""


def check_facts(known: Mapping[str, Parameter], given: Mapping) -> None:
    """Refuse facts that a run could not use, in the words in which the run itself would.

    A parameter is facts if its comment says "a file of facts"; "of at most N nodes" and "with an order" are rules for it.

    Args:
        known: The parameters of a chapter.
        given: The values that were given.

    Raises:
        ValueError: If a graph is too large, has no two distances to order, or cannot be read.

    Source:
        Ours.
    """
    values = {name: given.get(name, parameter.default) for name, parameter in known.items()}
    for name, parameter in known.items():
        rules = FACTS.search(parameter.says)
        if rules and values[name]:
            limit = int(rules[1].replace(",", "")) if rules[1] else None
            how = tuple((option, values[option]) for option in READING if option in known)
            fault = _fault(str(values[name]), how, limit, bool(rules[2]))
            if fault:
                raise ValueError(fault)
        elif rules and any(given.get(option) for option in READING):
            option = next(option for option in READING if given.get(option))
            raise ValueError(f"{option} must go with {name}, got it alone: it says how that file is written.")


@functools.lru_cache(maxsize=64)
def _fault(name: str, how: tuple, limit: int | None, ordered: bool) -> str:
    """Return what is wrong with a graph, empty where nothing is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the run itself says what was merged
            graph = named_graph(name, **reading(**dict(how)))
        if limit is not None and graph.n_nodes > limit:
            return f"graph must have at most {limit:,} nodes, got {graph.n_nodes:,} in {graph.name!r}: take a part of it."
        if ordered:
            geometric_order(torch.eye(graph.n_nodes), graph)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""
