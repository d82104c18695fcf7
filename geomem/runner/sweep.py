"""Many runs on Dask distributed, on one machine or many: each writes its own record."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import _checks
from .identity import source
from .job import machine, needs, record_of
from .run import perform

PATIENCE = 15
"""Seconds in which a scheduler must answer."""


@contextlib.contextmanager
def cluster(scheduler: str = "local", workers: int = 2) -> Iterator:
    """Give a client of a running scheduler, or of a local cluster that is closed afterwards.

    Args:
        scheduler: "local", or the address of a running scheduler, ``tcp://HOST:PORT``.
        workers: Processes of a local cluster, a run at a time each.
    """
    workers = _checks.integer("workers", workers, least=1)
    if scheduler != "local" and not scheduler.startswith(("tcp://", "tls://")):
        raise ValueError(f"scheduler must be 'local' or tcp://HOST:PORT, got {scheduler!r}.")
    needs("geomem sweep", "distributed")
    from distributed import Client, LocalCluster

    if scheduler != "local":
        _answers(scheduler)
        with Client(scheduler, timeout=20, set_as_default=False) as client:
            yield client
        return
    here: dict[str, Any] = dict(host="127.0.0.1", dashboard_address=None, memory_limit=0)
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **here) as started:
        with Client(started, set_as_default=False) as client:
            yield client


def _answers(scheduler: str) -> None:
    """Ask a scheduler who it is; Dask's own client waits for ever where something else listens."""
    from distributed import rpc

    async def ask() -> dict:
        remote: Any  # its methods are whatever the other side offers
        async with rpc(scheduler) as remote:
            return await remote.identity()

    try:
        kind = asyncio.run(asyncio.wait_for(ask(), PATIENCE)).get("type")
        reason = "" if kind == "Scheduler" else f"it is a {kind}"
    except TimeoutError:
        reason = f"no answer within {PATIENCE} s"
    except Exception as error:  # whatever Dask makes of a port that is closed, or speaks another language
        reason = " ".join(str(error).split())[:200] or type(error).__name__
    if reason:
        raise ValueError(f"scheduler must be a Dask scheduler that is running, got {scheduler!r}: {reason}.")


def common_machine(client, say: Callable[[str], None] = print) -> dict:
    """Return what all workers have in common; refuse workers whose results would differ."""
    if not client.scheduler_info(n_workers=-1)["workers"]:
        say("waiting for a worker: the scheduler has none yet.")
    client.wait_for_workers(1)
    made = list(client.run(machine).values())
    sources = set(client.run(source).values())
    met = {name: sorted({str(one[name]) for one in made}) for name in made[0]} | {"code": sorted(sources)}
    for name, found in met.items():
        if len(found) > 1:
            raise ValueError(f"workers must have the same {name}, got {' and '.join(found)}. Sweep on one kind at a time.")
    if sources != {source()}:
        raise ValueError("workers must have the geomem of this machine, got another. Install the same one and restart them.")
    return made[0]


def is_there(job: dict) -> bool:
    """Return whether a run has its record."""
    return record_of(Path(job["folder"], job["about"]["run"])) is not None


def sweep(client, jobs: list[dict], *, say: Callable[[str], None] = print) -> list[dict]:
    """Do the runs that have no record yet, on whichever worker is free; return one entry per run, as ``perform`` does.

    A run whose worker dies is started on another one. Nothing that one run does stops the others.

    Args:
        client: A Dask client.
        jobs: As ``runs.job`` makes them.
        say: Takes a sentence on every run that failed, as soon as it did.
    """
    from distributed import as_completed

    found = [is_there(job) for job in jobs]
    missing = [job for job, there in zip(jobs, found, strict=True) if not there]
    entries = [_entry(job, there=True) for job, there in zip(jobs, found, strict=True) if there]
    futures = {client.submit(perform, job, pure=False): job for job in missing}
    with tqdm(total=len(jobs), initial=len(entries), unit="run", disable=None) as bar:
        for future in as_completed(futures, loop=client.loop):
            job, error = futures.pop(future), future.exception() if future.status != "finished" else None
            if error is None:
                entry = future.result()
            else:
                entry = _entry(job, reason=_reason(error), last_lines=[_reason(error)])
            future.release()
            entries.append(entry)
            bar.update()
            if "reason" in entry:
                say(failure(entry))
    return entries


def _entry(job: dict, **what) -> dict:
    return {"run": job["about"]["run"], "parameters": job["given"], "there": False} | what


def _reason(error: BaseException) -> str:
    """Return why Dask gave a run up."""
    if type(error).__name__ == "KilledWorker":
        return "Every worker that tried it died (too little memory?)."
    return f"{type(error).__name__}: {error}"


def failure(entry: dict) -> str:
    """Return what is shown of a run that failed: its parameters and the last lines of what it said."""
    settings = ", ".join(f"{name}={value!r}" for name, value in entry["parameters"].items()) or "its defaults"
    return "\n".join([f"{entry['run']} FAILED with {settings}", *(f"    {line}" for line in entry["last_lines"])])
