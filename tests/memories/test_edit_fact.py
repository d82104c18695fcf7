"""The rank-one edit of a look-up against constrained least squares, and against the adjacency of the edited graph."""

import pytest
import torch

import geomem as gm
from geomem.memories import edit_fact

EXACT = 1e-9
RING = gm.cycle(9)


def edited_edge(memory, u, old, new):
    """Replace the edge u-old by u-new, both directions."""
    for node, change in ((u, dict(forget=old, learn=new)), (old, dict(forget=u)), (new, dict(learn=u))):
        memory = edit_fact(memory, node, **change)
    return memory


def test_in_an_orthonormal_basis_an_edit_is_exact():
    wanted = RING.adjacency()
    wanted[[0, 1, 0, 5], [1, 0, 5, 0]] = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    found = edited_edge(gm.associative_memory(RING, seed=2), 0, 1, 5)
    assert torch.allclose(found.scores(), wanted, atol=EXACT)


@pytest.mark.parametrize("width", [4, 6, 9, 14])
def test_an_edit_is_the_least_squares_change_under_its_constraint(width):
    memory = gm.associative_memory(RING, width=width, seed=3)
    edited, phi = edit_fact(memory, 2, learn=7, forget=1), memory.embedding
    change = edited.core - memory.core
    assert torch.linalg.matrix_rank(change) == 1
    assert torch.allclose(phi[2] @ change, phi[7] - phi[1], atol=EXACT)
    # the reader a of the rank-one change: least |Phi a| at the other nodes with Phi(u) a = 1, by its normal equations
    others = torch.arange(9) != 2
    gram = phi[others].T @ phi[others]
    system = torch.cat([torch.cat([gram, phi[2][:, None]], 1), torch.cat([phi[2][None], torch.zeros(1, 1)], 1)]).double()
    right = torch.cat([torch.zeros(width), torch.ones(1)]).double()
    reader = torch.linalg.lstsq(system, right[:, None], driver="gelsd").solution[:width, 0]
    wanted = phi[others] @ torch.outer(reader, phi[7] - phi[1])
    assert torch.allclose(phi[others] @ change, wanted, atol=EXACT)


def test_learning_what_was_forgotten_gives_the_memory_back():
    memory = gm.associative_memory(RING, width=5, seed=1)
    back = edit_fact(edit_fact(memory, 3, forget=4), 3, learn=4)
    assert torch.allclose(back.scores(), memory.scores(), atol=EXACT)


def test_nothing_given_is_changed():
    memory = gm.associative_memory(RING)
    before = memory.core.clone()
    edit_fact(memory, 0, learn=3)
    assert torch.equal(memory.core, before)


@pytest.mark.parametrize(
    ("memory", "words", "message"),
    [
        (gm.incidence_memory(RING), dict(learn=1), "memory must have a core"),
        (gm.associative_memory(RING), {}, "learn or forget must name a node"),
        (gm.associative_memory(RING), dict(learn=9), "learn must lie in 0 to 8, got 9"),
    ],
)
def test_an_edit_refuses(memory, words, message):
    with pytest.raises(ValueError, match=message):
        edit_fact(memory, 0, **words)
