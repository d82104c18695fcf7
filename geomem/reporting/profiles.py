"""Profiles: how much a chapter computes unless parameters say otherwise."""

import os

from .. import _checks

PROFILES = ("smoke", "laptop", "paper")


def profile_of(profile: str | None = None) -> str:
    """Return the given profile; without one, that of the variable BOOK_PROFILE, else "laptop".

    Args:
        profile: "smoke", "laptop" or "paper"; None or "" if none is given.

    Raises:
        ValueError: If there is no such profile.

    Source:
        Ours.

    Example:
        >>> profile_of("paper")
        'paper'
    """
    if profile:
        return _checks.one_of("profile", profile, PROFILES)
    return _checks.one_of("BOOK_PROFILE", os.environ.get("BOOK_PROFILE") or "laptop", PROFILES)


def by_profile(profile: str, value: int, *, smoke: int, laptop: int, paper: int) -> int:
    """Return a parameter's value as given, or the profile's where it is 0, which means that none was given.

    ``geomem run`` reads these calls, so that a record holds what ran.

    Args:
        profile: The chapter's profile.
        value: What the parameter holds; 0 if nothing was given.
        smoke: Its default in the profile "smoke".
        laptop: Its default in the profile "laptop".
        paper: Its default in the profile "paper".

    Raises:
        ValueError: If there is no such profile.

    Source:
        Ours.

    Example:
        >>> by_profile("smoke", 0, smoke=2, laptop=10, paper=10), by_profile("smoke", 5, smoke=2, laptop=10, paper=10)
        (2, 5)
    """
    defaults = {"smoke": smoke, "laptop": laptop, "paper": paper}
    profile = _checks.one_of("profile", profile, PROFILES)
    return value or defaults[profile]
