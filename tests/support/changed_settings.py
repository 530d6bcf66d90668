"""The settings of the server with other values in the MYAGENT dict: those in TEST_MYAGENT, as JSON."""

from __future__ import annotations

import json
import os

from myagent_site.settings import *  # noqa: F403 - Django reads every name
from myagent_site.settings import MYAGENT

MYAGENT.update(json.loads(os.environ["TEST_MYAGENT"]))
