from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import esker
from esker.errors import MissingExtraError, ResourceError
from esker.runtime.executors.ray import RayExecutor


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'esker\[ray\]'"):
        esker.connect("ray")


@pytest.mark.parametrize("version", ["2.9.3", "2.59.1", "3.0.0"])
def test_a_version_that_was_not_tried_is_refused_by_its_number(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__=version))
    with pytest.raises(MissingExtraError, match=rf"ray {version} is installed.*2\.60.*esker\[ray\]"):
        esker.connect("ray://127.0.0.1:10001")


def test_an_executor_without_a_cluster_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.60.0", is_initialized=lambda: False))
    with pytest.raises(ResourceError, match=r"esker\.connect\('ray'\)"):
        RayExecutor(2)


def test_the_client_server_is_refused_with_the_way_that_works() -> None:
    with pytest.raises(ResourceError, match=r"RAY_ADDRESS=host:6379"):
        esker.connect("ray://127.0.0.1:10001")
