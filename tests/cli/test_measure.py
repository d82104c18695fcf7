"""``geomem measure``: a table and a file of facts, in; a verdict, JSON or a page, out."""

import base64
import json
import re

import numpy as np
import pytest
import torch

import geomem as gm
from geomem import cli
from geomem.cli import measure as command

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</pre><script>alert(2)</script>",
    "$x_$",
    "\u202egnik",
    "日本",
    '"&amp;',
    "{title}",
]


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    path, g = tmp_path_factory.mktemp("tables") / "family.npz", gm.named_graph("family")
    table = gm.gradient_flow(g, steps=800, seeds=[100], snapshots=()).embeddings[-1, 0]
    np.savez(path, names=np.array(g.labels), table=table.numpy())
    return str(path)


def said(capsys, *argv):
    cli.main(["measure", *argv])
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        cli.main(["measure", *argv])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_a_verdict_in_words_and_as_json(family, capsys):
    out = said(capsys, family, "--graph", "family", "--null", "20")
    assert "\nA map: strict order " in out and "family.npz: numpy array 'table'; 37 rows of 100 numbers, named." in out
    about = json.loads(said(capsys, family, "--graph", "family", "--null", "20", "--json"))
    assert about["kind"] == "map" and about["nodes"] == 37 and about["verdict"] in out
    strict = about["measures"]["strict_order"]
    assert strict["value"] > strict["dealt"]["highest"] and strict["dealt"]["n"] == 20 and strict["local"]["exceeded"]


def hostile(folder):
    """Write a ring of hostile names, with a table that is a map of it."""
    names = HOSTILE + [f"node {k}" for k in range(33)]
    facts, angle = folder / "facts.json", 2 * torch.pi * torch.arange(40) / 40
    links = [{"source": a, "target": b} for a, b in zip(names, names[1:] + names[:1], strict=True)]
    facts.write_text(json.dumps({"nodes": [{"id": name} for name in names], "links": links}))
    table = folder / "t.json"
    rows = torch.stack([angle.cos(), angle.sin()], dim=1).tolist()
    table.write_text(json.dumps(dict(zip(names, rows, strict=True)) | {"<b>stranger</b>": [1.0, 0.0]}))
    return str(table), str(facts)


def test_the_page_asks_no_host_and_names_are_text(tmp_path, capsys):
    table, facts = hostile(tmp_path)
    page = tmp_path / "out.html"
    assert "A map: " in said(capsys, table, "--graph", facts, "--null", "20", "--page", str(page))
    text = page.read_text(encoding="utf8")
    tags = set(re.findall(r"<(/?\w+)", text))
    assert not tags & {"script", "b", "/script", "link", "iframe"} and text.count("<img") == 1
    assert "&lt;b&gt;stranger&lt;/b&gt;" in text and "\u202e" not in text
    assert "default-src 'none'" in text and not re.search(r"https?:|src=\"(?!data:)", text)
    picture = base64.b64decode(re.search(r'base64,([^"]+)"', text)[1])
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("argv", [
    ("{t}", "--graph", "famly"),
    ("{t}", "--graph", "nowhere.csv"),
    ("nowhere.npy", "--graph", "family"),
    ("{t}", "--graph", "karate"),
    ("{t}", "--graph", "family", "--tensor", "tabel"),
    ("{t}", "--graph", "family", "--null", "3"),
    ("{t}", "--graph", "family", "--names", "nowhere.txt"),
    ("{t}", "--graph", "family", "--page", "no/such/folder/x.html"),
    ("{t}",),
])  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(family, capsys, argv):
    assert refused(capsys, *(word.replace("{t}", family) for word in argv)).startswith("geomem measure: ")


def test_numbered_nodes_in_another_order_are_not_guessed_at(tmp_path, capsys):
    ring = [(k, (k + 7) % 40) for k in range(40)]
    (tmp_path / "facts.csv").write_text("\n".join(f"{a},{b}" for a, b in ring))
    angle = 2 * torch.pi * torch.arange(40) * 23 / 40  # 7 steps of 23 are one step round
    np.save(tmp_path / "t.npy", torch.stack([angle.cos(), angle.sin()], dim=1).numpy())
    argv = str(tmp_path / "t.npy"), "--graph", str(tmp_path / "facts.csv"), "--null", "20"
    assert "--names number" in refused(capsys, *argv)
    orders = {}
    for names in ("number", "order"):
        found = json.loads(said(capsys, *argv, "--names", names, "--json"))
        orders[names] = found["measures"]["strict_order"]["value"]
    assert orders["number"] > 0.95 > 0.5 > orders["order"]


@pytest.mark.slow
def test_a_graph_too_large_to_draw_has_its_curves(tmp_path):
    g = gm.cycle(600)
    found = gm.measure(torch.randn(600, 4, generator=torch.Generator().manual_seed(100)), g, null=20)
    axes = gm.figures.measured(found)
    assert axes.shape == (1, 2)
    assert len(command.page(found, [])) > 10_000
