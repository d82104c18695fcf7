"""``geomem train edges FILE``: the library's EdgeTask, recipe and result, for any file."""

import json

import networkx as nx
import pytest
import torch

import geomem as gm
from geomem import cli
from geomem.cli import edges as command
from geomem.training import recipes

SMALL = "--width 8 --layers 1 --heads 2 --passes 2 --device cpu --seed 100".split()


@pytest.fixture
def facts(tmp_path):
    path = tmp_path / "facts.csv"
    graph = nx.connected_watts_strogatz_graph(40, 4, 0.3, seed=100)
    path.write_text("from,to\n" + "".join(f"n{u},n{v}\n" for u, v in graph.edges), encoding="utf8")
    return str(path)


def told(capsys, *argv):
    """Run ``train edges`` and return the JSON that it prints."""
    cli.main(["train", "edges", *argv, "--json"])
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    return json.loads(out)


def refused(capsys, *argv):
    """Run what cannot be done and return the sentence on stderr."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "edges", *argv])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1
    return err


@pytest.mark.parametrize("model", ["node2vec", "linear", "transformer", "mamba"])
def test_the_result_is_that_of_the_library(model, facts, capsys, tmp_path):
    words = ["--model", model, "--held-out", "0.2", "--lr", "0.01", "--decay", "0.3", "--snapshots", "2"]
    result = told(capsys, facts, *SMALL, *words, "--save", str(tmp_path / "run"))
    task = gm.EdgeTask(gm.read_edges(facts), held_out=0.2, seed=100)
    (stage,) = gm.recipes.edges_only(task, recipes.LAPTOP._replace(passes=2))
    shape = dict(core={"node2vec": "identity"}.get(model, model), width=8, layers=1, heads=2, seed=100)
    model = gm.SequenceModel(task.vocabulary.n_tokens, **shape, core_std=0.1 if model == "mamba" else 0.02)
    stage = gm.Stage(stage.steps, 0.01, edges=stage.edges, schedule="constant", decay=0.3)
    run = gm.train(model, task, [stage], seed=100, device="cpu", snapshots=[stage.steps // 2])
    assert result["settings"] == run.settings and result["edge_recall"] == run.history[-1]["edge_recall"]
    saved = gm.load_result(tmp_path / "run")
    assert torch.equal(saved.model.embedding, run.model.embedding) and len(saved.task.held_edges) == round(0.2 * 80)


def test_a_large_graph_asks_a_few_nodes_and_says_so_and_a_small_one_does_not(facts, capsys, monkeypatch):
    (stage,) = told(capsys, facts, *SMALL)["settings"]["recipe"]
    assert stage["nodes"] == 0 and stage["edges"] == 160
    monkeypatch.setattr(command, "MANY_NODES", 39)
    (stage,) = told(capsys, facts, *SMALL)["settings"]["recipe"]
    assert (stage["nodes"], stage["edges"], stage["steps"], stage["candidates"]) == (40, 0, 2, 1024)
    cli.main(["train", "edges", facts, *SMALL])
    said = capsys.readouterr().out
    assert (
        "a step asked 40 of 40 nodes; its candidates were they, their answers and 1,024 drawn nodes (--nodes 0: all)" in said
    )
    assert told(capsys, facts, *SMALL, "--nodes", "0")["settings"]["recipe"][0]["nodes"] == 0
    assert told(capsys, facts, *SMALL)["settings"]["model"]["init_std"] == 0.1
    assert told(capsys, facts, *SMALL, "--init-std", "0.3")["settings"]["model"]["init_std"] == 0.3
    (stage,) = told(capsys, facts, *SMALL, "--nodes", "7", "--candidates", "9")["settings"]["recipe"]
    assert (stage["nodes"], stage["candidates"], stage["steps"]) == (7, 9, 12)


def test_a_run_that_was_stopped_goes_on(facts, capsys, tmp_path, monkeypatch):
    from geomem.cli import train as training

    train, argv = training.train, [facts, *SMALL, "--nodes", "10", "--snapshots", "4", "--history"]
    whole = told(capsys, *argv)

    def broken(*args, on_step, **options):
        def stop(step, model):
            if step == 5:
                raise KeyboardInterrupt

        return train(*args, on_step=stop, **options | {"checkpoint_seconds": 1e-9})

    monkeypatch.setattr(training, "train", broken)
    with pytest.raises(SystemExit):
        cli.main(["train", "edges", *argv, "--checkpoint", str(tmp_path / "kept")])
    monkeypatch.setattr(training, "train", train)
    capsys.readouterr()
    again = told(capsys, *argv, "--checkpoint", str(tmp_path / "kept"))
    assert [row["edge_recall"] for row in again["history"]] == [row["edge_recall"] for row in whole["history"]]


def test_a_named_graph_and_the_options_of_reading_are_those_of_geomem_graph(facts, capsys, tmp_path):
    assert told(capsys, "karate", *SMALL)["settings"]["task"]["graph"]["n_nodes"] == 34
    odd = tmp_path / "odd.txt"
    odd.write_text("a|x|b\nb|x|c\nc|x|d\n", encoding="utf8")
    result = told(capsys, str(odd), "--sep", "|", "--columns", "0", "2", "--no-header", *SMALL)
    assert result["settings"]["task"]["graph"]["n_nodes"] == 4
    by_option = told(capsys, "--file", facts, *SMALL)
    assert by_option["settings"] == told(capsys, facts, *SMALL)["settings"]


def test_what_reading_dropped_is_said(capsys, tmp_path):
    odd = tmp_path / "loops.csv"
    odd.write_text("a,b\nb,b\nb,c\n", encoding="utf8")
    (warning,) = told(capsys, str(odd), *SMALL)["warnings"]
    assert "1 self loop dropped" in warning
    cli.main(["train", "edges", str(odd), *SMALL])
    assert f"Attention: {warning}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, sentence",
    [
        ([], "FILE must name a file of facts, or a graph such as karate, got none."),
        (["nowhere.csv"], "nowhere.csv"),
        (["karate", "--held-out", "0.9"], "held_out must leave the graph connected, got 0.9"),
        (["karate", "--held-out", "1"], "held_out must be finite and at least 0 and less than 1, got 1.0"),
        (["karate", "--nodes", "35"], "nodes must be at most the 34 that have a fact to train, got 35"),
        (["karate", "--passes", "0"], "passes must be at least 1, got 0"),
        (["karate", "--nodes", "5", "--candidates", "0"], "candidates must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(words, sentence, capsys):
    assert sentence in refused(capsys, *SMALL, *words)


def test_a_sweep_over_files_and_models_is_checked_before_it_runs(facts, capsys, tmp_path):
    import argparse

    from geomem.cli.train import Trainings, add_train
    from geomem.runner.job import options

    training = Trainings(add_train(argparse.ArgumentParser().add_subparsers())["edges"])
    assert training.known["file"].is_file and "columns" not in training.known
    training.check(options({"file": facts, "model": "node2vec", "held_out": 0.1}))
    with pytest.raises(ValueError, match="held_out must leave the graph connected"):
        training.check(options({"file": "karate", "held_out": 0.99}))
