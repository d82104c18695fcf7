"""The committed studies are those that book/studies.toml lists, and the chapters' live runs agree with them."""

import json
import re

import pytest

import geomem as gm
from tools import book, studies

LISTED = {study["name"]: study for study in studies.listed(book.ROOT / "book/studies.toml")}
LIVE = {
    "live_paper": ("paper_map_5000_5", ("answer_accuracy",), "first"),
    "live_nearest": ("paper_map_5000_5", ("first_hop_accuracy",), "first"),
    "live_full_path": ("full_path", ("answer_accuracy",), "transformer"),
    "live_first_hop": ("first_hop", ("answer_accuracy",), "transformer"),
    "live_cell_order": ("phase_linear", ("cells", "order", 78), "cycle"),  # lr .01, no decay, start .5
    "live_map_first_hop": ("map", ("test", "answer_accuracy"), "learned"),
    "live_steps_frozen": ("steps", ("path_star", "frozen", "loss", 2, 1), ""),
    "live_steps_learned": ("steps", ("path_star", "learned", "loss", 2, 1), ""),
    "live_straight": ("straighten", ("straight_after", 3), ""),
    "live_term": ("headroom", ("cycle", "transformer", "term", "strict"), ""),
    "live_pretrained": ("pretrained", ("measures", "borders", "sentence: {}", "values", "strict_order", 0), ""),
    "live_rewired": ("spectrum", ("path_star", "transformer", "fiedler_energy"), "rewired"),
}


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_committed_study_is_the_one_that_is_listed(name):
    study, path = LISTED[name], book.ROOT / "book/results" / f"{name}.json"
    whole = json.loads(path.read_text(encoding="utf8"))
    assert path.stat().st_size <= studies.LARGEST
    assert (whole["command"], whole["seeds"]) == (study["command"], study["seeds"])
    assert {c: part["words"] for c, part in whole.get("conditions", {}).items()} == study.get("conditions", {})
    runs = gm.load_study(name).runs
    assert all(len(of_condition) == len(study["seeds"]) for of_condition in runs.values())


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_study_has_five_seeds_or_says_why_fewer(name):
    study = LISTED[name]
    assert (len(study["seeds"]) < 5) == bool(study.get("fewer", "").endswith("."))  # a sentence, where it is needed alone


def test_no_result_is_without_its_command():
    results = {path.stem for path in (book.ROOT / "book/results").glob("*.json")} - {"records"}
    assert results == set(LISTED)


@pytest.mark.parametrize("name", sorted(LIVE))
def test_a_live_run_lands_within_three_standard_deviations_of_its_study(name):
    study, keys, condition = LIVE[name]
    records = [record for chapter in book.chapters() for record in gm.load_records(chapter)["record"]]
    (live,) = [record for record in records if record["name"] == name]
    values = gm.load_study(study).final(*keys, condition=condition)
    spread = float(values.std()) if len(values) > 1 else 0.0
    assert abs(live["mean"] - float(values.mean())) <= max(3 * spread, 0.02)


def test_every_live_run_is_compared():
    records = [record["name"] for chapter in book.chapters() for record in gm.load_records(chapter)["record"]]
    assert {name for name in records if name.startswith("live_")} == set(LIVE)


def test_an_unknown_study_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="name must be a study that was run, got 'nothing': there are"):
        gm.load_study("nothing")
    with pytest.raises(ValueError, match="there are none"):
        gm.load_study("nothing", folder=tmp_path)


def test_a_study_gives_finals_and_curves_by_condition(tmp_path):
    history = [{"step": s, "test": {"token_accuracy": [0.1 * s, 1.0]}} for s in (1, 2, 3)]
    runs = [{"answer": value, "history": history} for value in (0.5, 0.7)]
    part = {"words": [], "settings": {"width": 32}, "seconds": [1800, 1800], "runs": runs}
    whole = dict(name="x", purpose="p", command=[], seeds=[0, 1], versions={}, device="", commit="", conditions={"a": part})
    (tmp_path / "x.json").write_text(json.dumps(whole))
    study = gm.load_study("x", folder=tmp_path)
    assert study.final("answer", condition="a").tolist() == [0.5, 0.7] and study.hours == 1.0
    steps, values = study.curve("test", "token_accuracy", condition="a")
    assert steps.tolist() == [1, 2, 3] and values.shape == (2, 3, 2) and values[1, 2, 0] == pytest.approx(0.3)
    assert study.about["settings"]["a"] == {"width": 32}


COMMANDS = re.findall(
    r"`(?:geomem|python) ([^`]+book/results/paper/(\w+)\.json)`", (book.ROOT / "benchmarks/GPU.md").read_text()
)
AT_SIZE = {name: command.split() for command, name in COMMANDS}


@pytest.mark.parametrize("path", sorted((book.ROOT / "book/results/paper").glob("*.json")), ids=lambda path: path.stem)
def test_a_row_at_the_papers_size_is_what_its_command_makes(path):
    words, whole = AT_SIZE[path.stem.removesuffix("_seed1")], json.loads(path.read_text(encoding="utf8"))
    asked = dict(zip(words, words[1:], strict=False))
    settings = whole["settings"]
    name = f"path-star({asked['--degree']}, {asked['--length']})"
    assert path.stat().st_size <= studies.LARGEST and settings["seed"] == path.stem.endswith("_seed1")
    if "large_flow" in words[0]:
        assert whole["finished"] and settings["graph"] == name
        return
    assert settings["task"]["graph"]["name"] == name and settings["task"]["target"] == asked["--target"]
    model = [settings["model"][key] for key in ("core", "layers", "width")]
    assert model == [asked.get("--model", "transformer"), 12, int(asked.get("--width", 384))]
    assert whole["history"][-1]["step"] == sum(stage["steps"] for stage in settings["recipe"]) > 1000


def test_chapter_10_shows_the_rows_that_wait_and_no_other():
    chapter = book.ROOT / "book/10_paper_size.ipynb"
    if not chapter.exists():
        pytest.skip("chapter 10 is not there yet")
    sources = "".join("".join(cell["source"]) for cell in json.loads(chapter.read_text(encoding="utf8"))["cells"])
    assert {*re.findall(r'"(\w+_\d+_\d+)": \(', sources), "flow_10000_10"} == set(AT_SIZE)


TUNING = range(100, 200)
"""Seeds that choose a rate, a start, an end: nothing that is judged may have them."""


def seeds_of_chapter(path):
    """List the numbers that a chapter's code gives as seeds, one by one or as the start of a range."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    starts = re.findall(r"(?:seeds?=|seeds = |seed: int = )(?:range\(|\[)?(\d+)", code)
    return {int(number) for number in starts}


def test_seeds_that_tune_and_seeds_that_judge_never_meet():
    for name in LISTED:
        runs = set(LISTED[name]["seeds"])
        assert all(seed < 100 or seed in TUNING for seed in runs), name
    tuned = set(re.findall(r"range\((1\d\d), 1\d\d\)", "".join(path.read_text() for path in book.chapters())))
    assert {int(seed) for seed in tuned} <= set(TUNING)  # chapter 9 chooses its ends on these
    for path in book.chapters():
        assert not seeds_of_chapter(path) & set(TUNING), path.stem


def test_what_tunes_in_the_benchmarks_has_seeds_of_its_own():
    code = "".join((book.ROOT / "benchmarks" / name).read_text() for name in ("candidates.py", "training.py"))
    chosen = [
        int(seed) for seed in re.findall(r"SEEDS = \((\d+)|range\((\d+), \d+ \+ REPEATS\)", code) for seed in seed if seed
    ]
    assert chosen and all(seed in TUNING for seed in chosen)


def test_a_study_that_tunes_leaves_its_tuning_seeds_out_of_what_is_judged():
    chapters = {path.stem: path.read_text(encoding="utf8") for path in book.chapters()}
    for name, study in LISTED.items():
        if set(study["seeds"]) & set(TUNING):
            users = [text for text in chapters.values() if f'load_study(\\"{name}\\")' in text]
            assert users and all(re.search(r"(< 100|>= 100)", text) for text in users), name
            for text in users:
                assert f'study=(\\"{name}\\"' not in text  # such a record would hold the tuning seeds too
