"""``geomem rest``: the exact end of tied Node2Vec on a named graph or a file."""

import json

import pytest

import geomem as gm
from geomem import cli


def test_it_says_what_the_library_finds(capsys):
    cli.main(["rest", "cycle", "--decay", "0.5", "--json"])
    found, rest = json.loads(capsys.readouterr().out), gm.most_random_walk(gm.cycle(15), decay=0.5)
    assert (found["directions"], found["entropy"], found["weights"]) == (rest.dims, rest.entropy, "nodes")


def test_a_file_of_facts_will_do(tmp_path, capsys):
    (tmp_path / "facts.csv").write_text("a,b\nb,c\nc,a\nc,d\n")
    cli.main(["rest", str(tmp_path / "facts.csv")])
    assert "4 nodes, 4 edges" in capsys.readouterr().out


def test_what_cannot_be_solved_is_one_sentence(capsys):
    with pytest.raises(SystemExit):
        cli.main(["rest", "cycle", "--decay", "-1"])
    assert capsys.readouterr().err == "geomem rest: decay must be finite and at least 0, got -1.0.\n"
