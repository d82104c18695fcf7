"""Swap two leaves, in a browser: the answers are the models', the dial exchanges them, keys and little motion."""

import torch

import geomem as gm
from geomem.explorables import Swap
from geomem.measures import interventions
from tests.explorables.test_swap import MODELS, TASK

ALIVE = "document.querySelector('[data-alive] > div').explorable"
WIDGET = Swap(TASK, MODELS)


def said(pair, share):
    """Ask each model for both leaves, with a share of their Fiedler components exchanged."""
    found, pair = [], torch.tensor(pair)
    for model in MODELS.values():
        E = model.embedding[:19].detach().double()
        part = interventions.fiedler_components(E, TASK.graph)
        moved = E.index_add(0, pair, share * (part[pair.flip(0)] - part[pair]))
        found.append(interventions.predicted_first_hops(model, TASK, pair, moved).tolist())
    return found


def test_every_share_and_every_pair_are_answered_as_by_the_models(shown):
    page = shown(WIDGET, reduced_motion=True)
    leaves = WIDGET.data["leaves"]
    for one, other in ((0, 1), (2, 1), (3, 0)):
        page.get_by_label("leaf", exact=True).select_option(index=one)
        page.get_by_label("and leaf", exact=True).select_option(index=other)
        for level in (0, 7, 20):
            page.get_by_role("slider", name="exchanged").fill(str(level))
            assert page.evaluate(f"{ALIVE}.answers()") == said([leaves[one], leaves[other]], level / 20)
    assert not page.errors and not page.outside


def test_the_button_exchanges_and_takes_back_and_the_table_counts(shown):
    page = shown(WIDGET, reduced_motion=True)
    page.get_by_role("button", name="Exchange").press("Enter")
    assert "100 % exchanged." in page.inner_text(".status")
    tally = page.evaluate(f"{ALIVE}.tally()")
    for (_, went), count in zip(WIDGET._went.items(), tally, strict=True):
        answers = len(WIDGET._pairs) * 2
        assert count["theirs"] == round(float(went[-1]) * answers)
        assert page.locator("tbody tr").first.locator("td").last.inner_text() == str(answers)
    page.get_by_role("button", name="Back").press("Enter")
    assert "0 % exchanged." in page.inner_text(".status")
    moving = shown(WIDGET)
    moving.get_by_role("button", name="Exchange").click()
    moving.wait_for_function("+document.querySelector('input[type=range]').value > 2")
    moving.wait_for_function("+document.querySelector('input[type=range]').value === 20")


def test_it_fits_a_phone_and_has_a_poster(shown):
    assert shown(WIDGET, width=390).evaluate("document.documentElement.scrollWidth") <= 390
    assert shown(WIDGET, javascript=False).locator("img").get_attribute("alt") == WIDGET.alt


def test_hostile_names_are_text(shown):
    labels = [f"<img src=x onerror='window.hit=1'>{k}" for k in range(19)]
    g = gm.Graph(n_nodes=19, edges=TASK.graph.edges, root=0, paths=TASK.graph.paths, labels=labels, name=labels[0])
    task = gm.PathTask(g, target="first", seed=0)
    page = shown(Swap(task, MODELS), reduced_motion=True)
    page.get_by_role("button", name="Exchange").click()
    assert "onerror" in page.inner_text(".status") and page.evaluate("window.hit") is None
    assert page.locator("[data-alive] img").count() == 0 and not page.errors


def test_with_a_kernel_both_sides_follow_each_other(live):
    page = live(WIDGET)
    page.evaluate("kernel.set('level', 10)")
    assert "50 % exchanged" in page.inner_text(".status")
    page.get_by_label("and leaf", exact=True).select_option(index=3)
    assert page.evaluate("[kernel.get('one'), kernel.get('other'), kernel.get('level')]") == [0, 3, 0]
    page.evaluate("stop()")
    assert not page.errors
