"""A cluster that is not there is told in one sentence, with what to do."""

from __future__ import annotations

import socket
import sys

import pytest

from cli.options import on_ray
from parrot_data.cluster.connection import OnRay, connected
from parrot_data.errors import UserError


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"pip install 'parrot-priors\[ray\]'"),
        connected("auto", {}),
    ):
        pass


@pytest.mark.parametrize("address", ["", "here", "ray://a:1", "a:b", "a:99999", ":1"])
def test_what_is_no_address_is_told(address: str) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(UserError, match="is no address of a cluster"), connected(address, {}):
        pass


def test_where_nobody_answers_is_told() -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match="nothing answers there"), connected(address, {}):
            pass


def test_options_name_a_cluster_or_none() -> None:
    assert on_ray(None, None, None, None) is None
    assert on_ray(None, None, None, 3) is None
    assert on_ray("auto", None, None, None) == OnRay("auto", 1.0, 0.0)
    assert on_ray("auto", 2.0, 0.5, None) == OnRay("auto", 2.0, 0.5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((None, 2.0, None, None), "name one with --ray"),
        ((None, None, 1.0, None), "name one with --ray"),
        (("auto", None, None, 2), "leave one away"),
    ],
)
def test_options_without_a_meaning_are_refused(options: tuple, told: str) -> None:
    with pytest.raises(UserError, match=told):
        on_ray(*options)
