"""Runs with provenance: a chapter or a command, its parameters, one record; many of them on Dask."""

from ..reporting.profiles import PROFILES
from .identity import code
from .job import (
    chapter,
    chapters,
    job_of,
    machine,
    needs,
    options,
    profile_of,
    record_of,
    says_device,
    title,
)
from .parameters import Parameter
from .process import Outcome, environment, execute
from .run import keep_page, measured, page, perform
from .table import load_sweep

__all__ = [
    "PROFILES",
    "chapter",
    "chapters",
    "code",
    "job_of",
    "machine",
    "needs",
    "options",
    "profile_of",
    "record_of",
    "says_device",
    "title",
    "Parameter",
    "Outcome",
    "environment",
    "execute",
    "keep_page",
    "measured",
    "page",
    "perform",
    "load_sweep",
]
