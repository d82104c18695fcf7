"""Changes to a table: they change what they say and nothing else."""

import pytest
import torch

import geomem as gm
from geomem.measures import interventions
from geomem.measures.interventions import fiedler_components, move_at_random, predicted_first_hops, swap_fiedler

G = gm.path_star(6, 4)
LEAVES = G.paths[:, -1]


def table(seed=0, m=5):
    return torch.randn(G.n_nodes, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_components_are_the_projection_onto_the_fiedler_eigenspace():
    spectrum = gm.Spectrum(G)
    first = [k for k, trivial in enumerate(spectrum.trivial) if not trivial][0]
    basis = spectrum.bases[first]
    torch.testing.assert_close(fiedler_components(table(), G), basis @ (basis.T @ table()), rtol=1e-9, atol=1e-9)


def test_a_swap_exchanges_the_components_of_the_pair_and_touches_no_other_row():
    E, pairs = table(), LEAVES[[0, 3]][None]
    moved = swap_fiedler(E, G, pairs)
    part = fiedler_components(E, G)
    others = [node for node in range(G.n_nodes) if node not in LEAVES[[0, 3]].tolist()]
    assert torch.equal(moved[others], E[others])
    a, b = pairs[0]
    torch.testing.assert_close(moved[a], E[a] - part[a] + part[b])
    torch.testing.assert_close(moved[b], E[b] - part[b] + part[a])
    assert not torch.allclose(moved[a], E[a])


def test_pairs_do_not_meet():
    E = table()
    both = swap_fiedler(E, G, LEAVES[:4].view(2, 2))
    one_by_one = E.clone()
    for pair in LEAVES[:4].view(2, 2):
        one_by_one[pair] = swap_fiedler(E, G, pair[None])[pair]
    torch.testing.assert_close(both, one_by_one)


def test_the_control_moves_the_same_rows_as_far_and_elsewhere():
    E, pairs = table(), LEAVES[:4].view(2, 2)
    there, random = swap_fiedler(E, G, pairs) - E, move_at_random(E, G, pairs, seed=1) - E
    torch.testing.assert_close(there.norm(dim=1), random.norm(dim=1))
    assert not torch.allclose(there[LEAVES[0]], random[LEAVES[0]])
    assert torch.equal(move_at_random(E, G, pairs, seed=1), move_at_random(E, G, pairs, seed=1))


def test_predictions_are_the_best_first_hop_and_the_model_is_left_alone():
    task = gm.PathTask(G, target="first", train_fraction=0.5)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=8, layers=1, init_std=1.0)
    before = model.embedding.detach().clone()
    inputs, _ = task.examples(LEAVES)
    scores = model(inputs, 1)[:, 0][:, G.first_hops]
    assert torch.equal(predicted_first_hops(model, task, LEAVES), G.first_hops[scores.argmax(-1)])
    E = before[: G.n_nodes].double()
    said = predicted_first_hops(model, task, LEAVES, swap_fiedler(E, G, LEAVES.view(3, 2)))
    assert torch.equal(model.embedding.detach(), before)
    changed = before.clone()
    changed[: G.n_nodes] = swap_fiedler(E, G, LEAVES.view(3, 2)).float()
    hidden = torch.func.functional_call(_Hidden(model), {"model.embedding": changed}, (inputs,))
    assert torch.equal(said, G.first_hops[(hidden @ before[G.first_hops].T).argmax(-1)])


class _Hidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model.hidden(tokens, 1)[:, 0]


def test_on_an_ideal_map_swapping_swaps_the_nearest_first_hop():
    E = gm.memories.path_star_memory(G).embedding
    a, b = LEAVES[[1, 4]].tolist()
    nearest = gm.cosines(swap_fiedler(E, G, [[a, b]]))[[a, b]][:, G.first_hops].argmax(-1)
    assert nearest.tolist() == [4, 1]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([[1, 2, 3]], "pairs must be pairs of leaves"),
        ([[int(LEAVES[0]), int(LEAVES[0])]], "none listed twice"),
        ([[0, int(LEAVES[0])]], "leaves must be"),
    ],
)
def test_wrong_pairs_are_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        swap_fiedler(table(), G, pairs)


def test_graphs_without_arms_and_tasks_without_first_hops_are_refused():
    with pytest.raises(ValueError, match="must be a path-star"):
        swap_fiedler(torch.randn(8, 2), gm.cycle(8), [[0, 1]])
    task = gm.PathTask(G, train_fraction=0.5)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=8, layers=1)
    with pytest.raises(ValueError, match="task must have the target 'first'"):
        interventions.predicted_first_hops(model, task, LEAVES)
