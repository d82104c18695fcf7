import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import geomem as gm
from geomem import cli
from geomem.cli import train as command
from geomem.training import checkpoints, cost, recipes

QUICK = "--width 8 --layers 1 --heads 2 --steps-scale 0.05 --device cpu --seed 100".split()
STAR = ["train", "path-star", "--degree", "8", "--length", "3", *QUICK]
TREE = ["train", "tree-star", "--degree", "4", "--length", "4", *QUICK]
PROMPT = "train in-context --degree 2 --length 3 --width 8 --layers 1 --heads 2 --steps 8 --batch 4 --device cpu".split()


def told(capsys, *argv):
    """Run the command line and return the JSON that it prints, and nothing else."""
    cli.main([*argv, "--json"])
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(capsys, *argv):
    """Run what cannot be done and return the sentence on stderr."""
    with pytest.raises(SystemExit) as stop:
        cli.main(list(argv))
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1 and err.startswith("geomem")
    return err


def test_one_json_object_says_what_was_done_and_what_was_measured(capsys):
    result = told(capsys, *STAR)
    task = gm.PathTask(gm.path_star(8, 3), seed=100)
    assert result["settings"]["task"] == task.settings and result["settings"]["seed"] == 100
    assert result["settings"]["model"]["seed"] == 100 and result["settings"]["task"]["graph"]["name"] == "path-star(8, 3)"
    steps = sum(stage["steps"] for stage in result["settings"]["recipe"])
    assert result["settings"]["snapshots"][-1] == steps and len(result["settings"]["snapshots"]) == 20
    assert len(result["token_accuracy"]) == 3 and 0 <= min(result["token_accuracy"])
    assert 0 <= result["answer_accuracy"] <= min(result["token_accuracy"]) and 0 < result["edge_recall"] <= 1
    assert result["seconds"] > 0 and result["device"] == "cpu"
    assert result["versions"]["torch"] == torch.__version__ and set(result["versions"]) == {"python", "geomem", "torch"}
    assert "history" not in result and "first_hop_accuracy" not in result


def test_the_result_is_that_of_the_library(capsys, tmp_path):
    asked = "--target first --split first --directions 0.5 --pauses 2 --train-fraction 0.6 --frozen --untied --init-std 0.3"
    asked += " --reverse --lr 0.02 --path-weight 0.7 --recipe two_phase --snapshots 3 --model mamba --core-std 0.2 --history"
    result = told(capsys, *TREE, *asked.split(), "--branching", "3", "--save", str(tmp_path / "run"))
    task = gm.PathTask(gm.tree_star(4, 4, 3), target="first", split="first", directions=0.5, pauses=2, train_fraction=0.6,
                       reverse=True, seed=100)  # fmt: skip
    model = gm.SequenceModel(task.vocabulary.n_tokens, core="mamba", width=8, layers=1, heads=2, frozen=True, tied=False,
                             init_std=0.3, core_std=0.2, seed=100)  # fmt: skip
    stages = gm.recipes.two_phase(task)
    recipe = [
        gm.Stage(round(0.05 * s.steps), 0.02, edges=s.edges, paths=s.paths, path_weight=0.7, schedule=s.schedule,
                 warmup=round(0.05 * s.warmup), weight_decay=s.weight_decay)
        for s in stages
    ]  # fmt: skip
    steps = sum(stage.steps for stage in recipe)
    run = gm.train(model, task, recipe, seed=100, snapshots=[round(steps * k / 3) for k in (1, 2, 3)], device="cpu")
    assert result["settings"] == run.settings and result["token_accuracy"] == run.token_accuracy.tolist()
    seconds = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in seconds} for row in result["history"]] == [
        {k: v for k, v in row.items() if k not in seconds} for row in run.history
    ]
    saved = gm.load_result(tmp_path / "run")
    assert saved.settings == run.settings
    assert all(torch.equal(a, b) for a, b in zip(saved.model.parameters(), run.model.parameters(), strict=True))


def test_the_target_chooses_the_recipe_and_the_library_the_defaults(capsys):
    for target, recipe in (("first", gm.recipes.edges_then_first), ("full", gm.recipes.edges_then_paths)):
        result = told(capsys, *STAR, "--target", target, "--steps-scale", "0.01")
        stages = recipe(gm.PathTask(gm.path_star(8, 3), target=target, seed=100))
        assert [stage["path_weight"] for stage in result["settings"]["recipe"]] == [stage.path_weight for stage in stages]
        assert [stage["lr"] for stage in result["settings"]["recipe"]] == [stage.lr for stage in stages]
        assert [stage["steps"] for stage in result["settings"]["recipe"]] == [round(0.01 * s.steps) for s in stages]
        assert result["settings"]["task"]["target"] == target
    default = gm.PathTask(gm.path_star(8, 3), seed=100).settings
    assert told(capsys, *STAR, "--recipe", "edges_only")["settings"]["task"] == default
    assert len(told(capsys, *STAR, "--recipe", "edges_only")["settings"]["recipe"]) == 1


def test_the_scale_multiplies_the_warm_up_too_and_leaves_a_step(capsys, monkeypatch):
    stages = [gm.Stage(40, 0.01, edges=8, warmup=20), gm.Stage(1, 0.01, edges=8)]
    monkeypatch.setitem(recipes.RECIPES, "edges_only", lambda task, size: stages)
    recipe = told(capsys, *STAR, "--recipe", "edges_only", "--steps-scale", "0.25")["settings"]["recipe"]
    assert [(stage["steps"], stage["warmup"]) for stage in recipe] == [(10, 5), (1, 0)]


def test_in_context_takes_a_stage_of_its_own(capsys):
    result = told(capsys, *PROMPT, "--teacherless", "--names", "9", "--lr", "0.02", "--warmup", "3", "--history")
    task = gm.InContextTask(2, 3, names=9, teacherless=True)
    (stage,) = result["settings"]["recipe"]
    assert result["settings"]["task"] == task.settings and result["edge_recall"] is None
    assert [stage[name] for name in ("steps", "lr", "edges", "paths", "warmup")] == [8, 0.02, 0, 4, 3]
    assert set(result["history"][0]) == {"step", "seconds", "validation", "test"}
    long = told(capsys, *PROMPT, "--degree", "5", "--length", "5", "--steps", "1")  # 47 tokens, more than a model's 32
    assert long["settings"]["model"]["context"] == gm.InContextTask(5, 5).context == 47


def test_geometry_of_held_out_leaves_is_measured_where_the_run_is_evaluated(capsys, tmp_path, monkeypatch):
    measure, asked = command.first_hop_accuracy, []
    monkeypatch.setattr(command, "first_hop_accuracy", lambda *a, leaves: asked.append(leaves) or measure(*a, leaves=leaves))
    result = told(capsys, *STAR, "--geometry", "--history", "--snapshots", "4", "--save", str(tmp_path))
    run = gm.load_result(tmp_path)
    nodes = run.model.embedding[: run.task.graph.n_nodes].detach()
    last = float(gm.first_hop_accuracy(nodes, run.task.graph, leaves=run.task.test_leaves))
    assert len(asked) == 4 and all(torch.equal(leaves, run.task.test_leaves) for leaves in asked)
    assert result["first_hop_accuracy"] == last == result["history"][-1]["first_hop_accuracy"]
    assert len(result["history"]) == 4 and all(0 <= row["first_hop_accuracy"] <= 1 for row in result["history"])
    assert [row["first_hop_accuracy"] for row in run.history] == [row["first_hop_accuracy"] for row in result["history"]]


def test_geometry_survives_an_interruption(capsys, tmp_path, monkeypatch):
    argv, train = [*STAR, "--geometry", "--history", "--snapshots", "6", "--checkpoint", str(tmp_path)], command.train
    whole = told(capsys, *argv[:-2])

    def broken(*args, on_step, **options):
        def stop(step, model):
            if step == 12:
                raise KeyboardInterrupt

        return train(*args, on_step=stop, **options | {"checkpoint_seconds": 1e-9})

    monkeypatch.setattr(command, "train", broken)
    with pytest.raises(SystemExit):
        cli.main(argv)
    capsys.readouterr()
    monkeypatch.setattr(command, "train", train)
    rows = [[row["first_hop_accuracy"] for row in result["history"]] for result in (whole, told(capsys, *argv))]
    assert rows[0] == rows[1] and None not in rows[0]


SMOKE = ["train", "path-star", "--degree", "40", "--length", "4", "--profile", "smoke", "--device", "cpu"]


def test_smoke_goes_the_way_of_paper(capsys, monkeypatch):
    result = told(capsys, *SMOKE, "--target", "first", "--seed", "100")
    task = gm.PathTask(gm.path_star(40, 4), target="first", seed=100)
    wanted = gm.recipes.edges_then_first(task, gm.recipes.PAPER)
    assert [(s["lr"], s["edges"], s["paths"]) for s in result["settings"]["recipe"]] == [
        (s.lr, s.edges, s.paths) for s in wanted
    ]
    assert result["settings"]["precision"] == "bf16" and len(result["history"]) == 3 and result["geometry"]["arms"] == 10
    assert len(result["map"]["cosine"]) == 10 and result["map"]["null"].keys() == result["geometry"].keys()
    assert result["map"]["sample"] == result["geometry"] == result["history"][-1]["geometry"]
    assert result["threads"] == torch.get_num_threads()
    assert result["peak_flops_per_second"] is result["utilisation"] is None and result["peak_memory"] > 2**20
    model = gm.SequenceModel(**result["settings"]["model"])
    costs = [cost.step_cost(model.settings, task, stage).flops for stage in wanted]
    assert result["flops_per_step"] == costs and 0 < result["flops_per_second"] < 1e13
    paper, smoke = command.PROFILES["paper"], command.PROFILES["smoke"]
    differ = {name for name in paper if paper[name] != smoke[name]}
    assert differ == {"width", "layers", "heads", "snapshots", "precision", "compile", "steps"}


def test_a_profiles_settings_give_way_to_options(capsys):
    shape = "--width 12 --layers 1 --heads 3 --snapshots 1 --precision float32 --target full".split()
    result = told(capsys, *SMOKE, *shape)
    assert [result["settings"]["model"][name] for name in ("width", "layers", "heads")] == [12, 1, 3]
    assert result["settings"]["precision"] == "float32" and len(result["history"]) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_paper_without_cuda_says_what_it_needs_and_trains_nothing(capsys, monkeypatch):
    monkeypatch.setattr(command, "train", lambda *a, **k: pytest.fail("it trained"))
    monkeypatch.setattr(cost, "measured_rate", lambda settings: 1e10)
    argv = ["train", "path-star", "--degree", "200", "--length", "4", "--profile", "paper"]
    said = refused(capsys, *argv)
    task = gm.PathTask(gm.path_star(200, 4))
    settings = dict(core="transformer", width=384, layers=12, n_tokens=605, tied=True, frozen=False, positions="learned",
                    context=32)  # fmt: skip
    recipe = gm.recipes.edges_then_paths(task, gm.recipes.PAPER)
    flops = cost.training_flops(settings, task, recipe) + 40 * cost.evaluation_flops(settings, task)
    assert f"about {flops / 1e10 / 3600:.0f} hours" in said and "GB of memory" in said and "--device cpu" in said
    assert f"{sum(stage.steps for stage in recipe):,} steps" in said and said.count(". ") == 1
    monkeypatch.setattr(cost, "measured_rate", lambda settings: 1e9)  # slow enough for the evaluations to show
    few = [gm.Stage(**vars(stage) | {"steps": k}) for k, stage in zip((1, 1), recipe, strict=True)]
    steps = cost.training_flops(settings, task, few)
    looks = 2 * cost.evaluation_flops(settings, task)
    assert cost.duration(steps / 1e9) != cost.duration((steps + looks) / 1e9)
    said = refused(capsys, *argv, "--steps-scale", "0.001", "--snapshots", "2")
    assert f"about {cost.duration((steps + looks) / 1e9)} (2 steps" in said
    monkeypatch.setattr(cost, "measured_rate", lambda settings: 1e10)
    longer = refused(capsys, *argv, "--steps-scale", "30")
    assert f"about {30 * cost.training_flops(settings, task, recipe) / 1e10 / 86400:.0f} days" in longer


def test_paper_on_the_cpu_is_what_was_asked_for(capsys, monkeypatch):
    asked = {}
    monkeypatch.setattr(command, "train", lambda model, *a, **options: asked.update(options, model=model) or sys.exit(3))
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "path-star", "--degree", "8", "--length", "3", "--profile", "paper", "--device", "cpu"])
    assert stop.value.code == 3 and asked["checkpoint_seconds"] == 60 and asked["compile"] is False
    assert [asked["model"].settings[name] for name in ("layers", "width", "heads")] == [12, 384, 8]
    assert len(asked["snapshots"]) == 40 and asked["measure"] is not None
    for word, how in (("--graphs", "graphs"), ("--compile", True), ("--no-compile", False)):
        with pytest.raises(SystemExit):
            cli.main([*STAR, word])
        assert asked["compile"] == how


def test_looking_changes_no_result(capsys):
    one, two = (told(capsys, *STAR, "--snapshots", n, *more) for n, more in (("0", ()), ("9", ("--geometry", "--history"))))
    assert one["token_accuracy"] == two["token_accuracy"] and one["edge_recall"] == two["edge_recall"]
    assert one["settings"]["snapshots"] == one["settings"]["snapshots"][-1:] and len(two["history"]) == 9


def test_without_json_a_few_lines_are_printed(capsys):
    for argv, words in (
        ([*STAR, "--geometry"], ["path-star(8, 3)", "held-out answers right", "edges recalled", "nearest in the embedding"]),
        (PROMPT, ["InContextTask(2, 3", "held-out answers right", "chance of the first hop: 50 %"]),
    ):
        cli.main(argv)
        out, err = capsys.readouterr()
        assert err == "" and all(word in out for word in words) and len(out.splitlines()) <= 5


def test_the_json_is_written_whole_or_not_at_all(capsys, tmp_path, monkeypatch):
    out = tmp_path / "results" / "one.json"
    result = told(capsys, *STAR, "--out", str(out))
    assert json.loads(out.read_text()) == result and os.listdir(out.parent) == ["one.json"]

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(SystemExit) as stop:
            cli.main([*STAR, "--seed", "101", "--json", "--out", str(out)])
    printed, err = capsys.readouterr()
    assert stop.value.code == 2 and "No space left on device" in err and json.loads(printed)["settings"]["seed"] == 101
    assert json.loads(out.read_text()) == result and os.listdir(out.parent) == ["one.json"]


def test_a_checkpoint_is_gone_on_from(capsys, tmp_path, monkeypatch):
    whole = told(capsys, *STAR, "--history")
    train, argv = command.train, [*STAR, "--history", "--checkpoint", str(tmp_path)]

    def broken(*args, on_step, **options):
        def stop(step, model):
            on_step(step, model)
            if step == 7:
                raise KeyboardInterrupt

        return train(*args, on_step=stop, **options | {"checkpoint_seconds": 1e-9})

    monkeypatch.setattr(command, "train", broken)
    with pytest.raises(SystemExit) as stopped:
        cli.main(argv)
    assert stopped.value.code == 130 and "interrupted" in capsys.readouterr().err
    assert checkpoints.read(tmp_path)[1]["step"] == 7
    monkeypatch.setattr(command, "train", train)
    resumed = told(capsys, *argv)
    for result in (whole, resumed):
        for row in (result, result.pop("history")[-1]):
            for key in ("seconds", "processor_seconds", "flops_per_second", "peak_memory"):
                row.pop(key, None)
    assert resumed == whole and told(capsys, *argv)["token_accuracy"] == whole["token_accuracy"]
    assert "has another task" in refused(capsys, *argv, "--pauses", "3")


def test_a_run_that_diverges_still_gives_json(capsys):
    with pytest.warns(RuntimeWarning, match="diverged"):
        result = told(capsys, *STAR, "--lr", "1e30", "--geometry", "--history")
    assert result["edge_recall"] == 0 and result["first_hop_accuracy"] is None and result["token_accuracy"] == [0, 0, 0]


@pytest.mark.parametrize(
    "argv, sentence",
    [
        ([], "the following arguments are required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["train"], "the following arguments are required: graph"),
        (["train", "ring"], "invalid choice: 'ring'"),
        (STAR[:4], "the following arguments are required: --length"),
        ([*STAR, "--degree", "many"], "argument --degree: invalid int value: 'many'"),
        ([*STAR, "--degree", "1"], "degree must be at least 2, got 1"),
        ([*STAR, "--length", "2"], "graph must have paths of length 3 or more"),
        ([*STAR, "--directions", "backwards"], "directions must be one of 'both', 'forward', 'backward', got 'backwards'"),
        ([*STAR, "--directions", "1.5"], "directions must be a share of at most 1"),
        ([*STAR, "--directions", "nan"], "directions must be finite"),
        ([*STAR, "--train-fraction", "1"], "train_fraction must be finite and greater than 0 and less than 1, got 1"),
        ([*STAR, "--pauses", "-1"], "pauses must be at least 0, got -1"),
        ([*STAR, "--heads", "3"], "heads must divide width, got heads=3, width=8"),
        ([*STAR, "--init-std", "0"], "init_std must be finite and greater than 0"),
        ([*STAR, "--steps-scale", "0"], "steps_scale must be finite and greater than 0, got 0"),
        ([*STAR, "--lr", "inf"], "lr must be finite and greater than 0, got inf"),
        ([*STAR, "--snapshots", "-1"], "snapshots must be at least 0, got -1"),
        ([*STAR, "--seed", "-1"], "seed must be at least 0, got -1"),
        ([*STAR, "--recipe", "all"], "argument --recipe: invalid choice: 'all'"),
        ([*STAR, "--target", "last"], "argument --target: invalid choice: 'last'"),
        ([*STAR, "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        ([*STAR, "--branching", "2"], "unrecognized arguments: --branching 2"),
        ([*STAR, "--direc", "both"], "unrecognized arguments: --direc both"),  # half a name is no name
        ([*STAR, "--degree", "1000000000000"], "memory"),
        ([*STAR, "--checkpoint", "/proc/geomem"], "folder must be one that can be written to, got '/proc/geomem'"),
        ([*STAR, "--save", "/proc/geomem"], "folder must be one that can be written to, got '/proc/geomem'"),
        ([*STAR, "--out", "/proc/geomem/out.json"], "folder must be one that can be written to, got '/proc/geomem'"),
        ([*STAR, "--save", ""], "folder must have a name, got ''"),
        ([*STAR, "--checkpoint", ""], "folder must have a name, got ''"),
        ([*STAR, "--out", ""], "out must be a file, got the folder '.'"),
        ([*STAR, "--out", "/"], "out must be a file, got the folder '/'"),
        ([*STAR, "--arms", "9"], "arms must lie in 2 to 8, all the star has, got 9"),
        ([*STAR, "--arms", "-1"], "arms must be at least 0, got -1"),
        ([*STAR, "--arms", "4", "--recipe", "mixed"], "arms must be 0 for the recipe mixed, got 4"),
        ([*STAR, "--arms", "4", "--directions", "forward"], "arms must be 0 unless both directions"),
        ([*STAR, "--decay", "-1"], "decay must be finite and at least 0"),
        ([*PROMPT, "--names", "3"], "names must be at least 5, got 3"),
        ([*PROMPT, "--target", "first"], "unrecognized arguments: --target first"),
        ([*PROMPT, "--batch", "0"], "a stage must train on edges or paths, got neither"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence_and_code_2(argv, sentence, capsys, monkeypatch):
    monkeypatch.setattr("geomem.training.loop._State", lambda *a: pytest.fail("it trained"))
    assert sentence in refused(capsys, *argv)


def test_save_does_not_take_the_checkpoints_place(capsys, tmp_path):
    argv = [*STAR, "--save", f"{tmp_path}/a/../b", "--checkpoint", f"{tmp_path}/b"]
    assert "save must name another folder than checkpoint" in refused(capsys, *argv)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_where_there_is_none_is_one_sentence(capsys):
    assert "there is no CUDA here. Use device='cpu'" in refused(capsys, *STAR, "--device", "cuda")


def test_a_bug_keeps_its_traceback(monkeypatch):
    def bug(*args, **options):
        raise RuntimeError("the shapes do not fit")

    monkeypatch.setattr(command, "train", bug)
    with pytest.raises(RuntimeError, match="the shapes do not fit"):
        cli.main(STAR)


def test_the_version_is_the_package_s_own(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"geomem {gm.__version__}\n"
    assert told(capsys, *STAR, "--steps-scale", "0.01")["versions"]["geomem"] == gm.__version__
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "geomem.__version__"}
    assert f"\nversion: {gm.__version__}\n" in (root / "CITATION.cff").read_text(encoding="utf8")


def test_help_names_every_option(capsys):
    for argv in (["-h"], ["train", "-h"], ["train", "path-star", "-h"], ["train", "in-context", "-h"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(argv)
        assert stop.value.code == 0 and "None" not in capsys.readouterr().out


def test_the_module_runs_as_a_program():
    argv = [sys.executable, "-m", "geomem.cli", *STAR, "--steps-scale", "0.01", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and len(json.loads(done.stdout)["token_accuracy"]) == 3


GPU = (Path(__file__).parents[2] / "benchmarks" / "GPU.md").read_text(encoding="utf8")
COMMANDS = re.findall(r"`geomem (train [^`]+)`", GPU)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words.split()[-1].rpartition("/")[2])
def test_what_waits_for_a_gpu_was_rehearsed(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ["--device", "cpu"]
    if "path-star" in words:
        assert "--profile paper" in words
        quick += ["--profile", "smoke", "--degree", "12", "--heads", "2", "--width", "8"]
    else:
        quick += "--degree 2 --steps 2 --batch 4 --width 8 --layers 1 --heads 2 --snapshots 1".split()
    cli.main([*words.split(), *quick])
    assert "held-out answers right" in capsys.readouterr().out
    result = json.loads((tmp_path / words.split()[words.split().index("--out") + 1]).read_text())
    assert ("--checkpoint" in words) == any((tmp_path / f"run{k}" / checkpoints.NAME).exists() for k in range(20))
    if "path-star" in words:
        assert result["map"]["sample"]["arms"] == 3 and len(result["history"]) >= 2


def test_every_row_of_the_gpu_list_has_a_file_of_its_own():
    names = [words.split()[words.split().index("--out") + 1] for words in COMMANDS]
    folders = [words.split()[words.split().index("--checkpoint") + 1] for words in COMMANDS if "--checkpoint" in words]
    assert len(set(names)) == len(names) >= 9 and len(set(folders)) == len(folders)


# --- large path-stars

LARGE = "train path-star --degree 200 --length 4 --target first --width 8 --layers 1 --device cpu --seed 100".split()
LARGE += ["--steps-scale", "0.2"]


@pytest.fixture
def _many(monkeypatch):
    """Let arms be drawn on stars of 600 nodes and more."""
    monkeypatch.setattr(command, "MANY_NODES", 600)


@pytest.mark.usefixtures("_many")
def test_a_large_star_draws_arms_and_says_so_and_a_small_one_does_not(capsys):
    result = told(capsys, *LARGE)
    task = gm.PathTask(gm.path_star(200, 4), target="first", seed=100)
    stages = recipes.few_arms(task)
    recipe = result["settings"]["recipe"]
    assert [stage["arms"] for stage in recipe] == [128, 128] and [stage["lr"] for stage in recipe] == [s.lr for s in stages]
    assert [stage["steps"] for stage in recipe] == [round(0.2 * s.steps) for s in stages]
    assert result["settings"]["model"]["heads"] == 1 and len(result["settings"]["snapshots"]) == 10
    cli.main(LARGE)
    assert "a step drew 128 of 200 arms, whose nodes were its candidates" in capsys.readouterr().out
    small = [word if word != "200" else "199" for word in LARGE]  # 598 nodes
    assert all(
        stage["arms"] == 0 for stage in told(capsys, *small, "--recipe", "mixed", "--heads", "1")["settings"]["recipe"]
    )


@pytest.mark.usefixtures("_many")
def test_arms_are_as_many_as_asked_at_any_size(capsys):
    asked = [*STAR, "--target", "first"]
    few, none = (told(capsys, *asked, "--arms", k)["settings"]["recipe"] for k in ("4", "0"))
    assert {stage["arms"] for stage in few} == {4} and {stage["arms"] for stage in none} == {0}
    whole = told(capsys, *LARGE, "--arms", "0", "--steps-scale", "0.01")["settings"]
    assert {stage["arms"] for stage in whole["recipe"]} == {0} and whole["model"]["heads"] == 4


@pytest.mark.usefixtures("_many")
def test_node2vec_learns_facts_alone_and_its_map_is_measured(capsys):
    asked = [*STAR, "--model", "node2vec"]
    result = told(capsys, *asked, "--decay", "0.3")
    task = gm.EdgeTask(gm.path_star(8, 3), seed=100)
    assert result["settings"]["task"] == task.settings and result["settings"]["model"]["core"] == "identity"
    assert [stage["decay"] for stage in result["settings"]["recipe"]] == [0.3] and "answer_accuracy" not in result
    assert 0 <= result["first_hop_accuracy"] <= 1
    cli.main(asked)
    out = capsys.readouterr().out
    assert "first hops nearest in the embedding" in out and "held-out" not in out
    (stage,) = told(capsys, *LARGE, "--model", "node2vec")["settings"]["recipe"]
    assert (stage["arms"], stage["table"]) == (128, "rms") and stage["decay"] == pytest.approx(4 * 128 / 200)
    assert "recipe must be left out for node2vec, got 'mixed'" in refused(
        capsys, *TREE, "--model", "node2vec", "--recipe", "mixed"
    )


def test_nearest_first_hops_of_many_leaves_are_those_of_a_sample(capsys, monkeypatch):
    monkeypatch.setattr(command, "LEAVES", 3)
    result = told(capsys, *STAR, "--model", "node2vec")
    assert result["first_hop_leaves"] == 3 and round(3 * result["first_hop_accuracy"]) == 3 * result["first_hop_accuracy"]
