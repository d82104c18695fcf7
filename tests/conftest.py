"""What several test files need."""

import importlib
import warnings

import pytest
import torch


@pytest.fixture(scope="session")
def compiler():
    """Skip, with torch's own reason, where nothing can be compiled."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(
                "torch._inductor.config"
            ).compile_threads = 1  # more processes than that cost more than they do
            torch.compile(lambda x: x.sin() + 1)(torch.ones(3))
    except Exception as error:  # whatever a missing compiler or header makes of it
        pytest.skip(f"torch.compile does not work here: {str(error).strip().splitlines()[0][:200]}")
