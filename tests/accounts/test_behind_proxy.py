"""Whose address a log-in attempt is counted for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROXY = "10.0.0.2"
NOBODY, ONE, FORGED, TWICE_FORGED = (
    None,
    "198.51.100.7",
    "203.0.113.9, 198.51.100.7",
    "not an address, 8.8.8.8, 198.51.100.7",
)
ADDRESSES = """
import json, sys, django
django.setup()
from axes.helpers import get_client_ip_address
from django.test import RequestFactory
found = []
for forwarded in json.loads(sys.argv[1]):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/login/", headers=headers, REMOTE_ADDR=sys.argv[2])
    found.append(get_client_ip_address(request))
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("behind_proxy", "expected"),
    [("0", [PROXY, PROXY, PROXY, PROXY]), ("1", [PROXY, ONE, ONE, ONE])],
)
def test_the_proxys_word_is_believed_and_never_the_clients(behind_proxy, expected):
    asked = json.dumps([NOBODY, ONE, FORGED, TWICE_FORGED])
    surroundings = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in surroundings if name in os.environ} | {
        "DJANGO_SETTINGS_MODULE": "smartmaint.settings",
        "SECRET_KEY": "x",
        "BEHIND_PROXY": behind_proxy,
    }
    answer = subprocess.run(
        [sys.executable, "-c", ADDRESSES, asked, PROXY],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout) == expected
