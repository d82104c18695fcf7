"""What ``geomem train`` says at the end: one JSON object, or the same in words."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from .. import __version__, _checks
from ..tasks import GraphTask
from ..training import cost
from ..training.loop import Result, Stage


def result_of(run: Result, recipe: list[Stage], whole: bool) -> dict:
    """Return the JSON object: settings, last measurements, cost, and versions."""
    history, last, device = run.history, run.history[-1], run.settings["device"]
    name = _checks.device_name(device)
    result = {"settings": run.settings, "seconds": last["seconds"], **last.get("test", {})}
    result |= {"processor_seconds": round(time.process_time(), 1)}  # of this process, loading and evaluation included
    result |= {"edge_recall": last.get("edge_recall")}
    result |= {key: last[key] for key in ("first_hop_accuracy", "first_hop_leaves", "geometry") if key in last}
    flops = [cost.step_cost(run.settings["model"], run.task, stage).flops for stage in recipe]
    rate = cost.rate_of(cost.PEAKS, name)
    speed = cost.speed_of(history, recipe, flops)
    result |= {"flops_per_step": flops, "flops_per_second": speed, "peak_flops_per_second": rate}
    result |= {"utilisation": None if rate is None or speed is None else speed / rate, "peak_memory": _peak_memory(device)}
    result |= {"device": name, "threads": torch.get_num_threads(), "commit": _commit()}
    result["versions"] = {"python": platform.python_version(), "geomem": __version__, "torch": torch.__version__}
    return result | {"history": history} if whole else result


def _peak_memory(device: str) -> int | None:
    """Return the most bytes held at once: of the CUDA device, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform != "linux":
        return None
    import resource  # only on Unix

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _commit() -> str | None:
    """Return the commit of the source, where it is a repository."""
    try:
        words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def summary(run: Result, last: dict) -> str:
    """Return the same in words."""
    lines = [f"{run.task!r}, {last['seconds']:.0f} s on {run.settings['device']}"]
    arms = run.settings["recipe"][0]["arms"]
    if arms and isinstance(run.task, GraphTask):
        lines += [
            f"a step drew {arms} of {len(run.task.graph.paths):,} arms, whose nodes were its candidates (--arms 0: all)"
        ]
    nodes, further = (run.settings["recipe"][0][name] for name in ("nodes", "candidates"))
    if nodes and isinstance(run.task, GraphTask):
        lines += [
            f"a step asked {nodes} of {run.task.graph.n_nodes:,} nodes; its candidates were they, their answers and "
            f"{further:,} drawn nodes (--nodes 0: all)"
        ]
    if "test" in last:
        tokens = ", ".join(f"{100 * share:.1f}" for share in last["test"]["token_accuracy"])
        lines += [f"held-out answers right: {100 * last['test']['answer_accuracy']:.1f} %; token by token: {tokens} %"]
    chance = getattr(run.task, "chance", None)
    if "test" in last and chance is not None:
        lines += [f"chance of the first hop: {100 * chance:.2g} %"]
    if "edge_recall" in last:
        lines += [f"edges recalled: {100 * last['edge_recall']:.1f} %"]
    nearest = (last.get("geometry") or last).get("first_hop_accuracy")
    if nearest is not None:
        which = "held-out first hops" if "test" in last else "first hops"
        of = f" ({last['first_hop_leaves']:,} leaves drawn)" if "first_hop_leaves" in last else ""
        lines += [f"{which} nearest in the embedding: {100 * nearest:.1f} %{of}"]
    return "\n".join(lines)
