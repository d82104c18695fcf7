"""Numbers with provenance: statistics, records and claims, studies, figures."""

from .profiles import PROFILES, by_profile, profile_of
from .records import claim, load_records, record, record_table
from .statistics import exceeds_null, mean_sd, spread, standard_error
from .studies import Study, load_rows, load_study, steps_to
from .verdicts import judge, share_ahead

__all__ = [
    "PROFILES",
    "by_profile",
    "profile_of",
    "exceeds_null",
    "mean_sd",
    "spread",
    "standard_error",
    "claim",
    "load_records",
    "record",
    "record_table",
    "Study",
    "load_rows",
    "load_study",
    "steps_to",
    "judge",
    "share_ahead",
]
