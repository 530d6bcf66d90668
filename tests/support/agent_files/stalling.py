"""The agent `stalling`, whose code stops the loop of the server when the process gets SIGUSR2, for as many seconds as
the file in STALL_FILE says.
"""

import os
import signal
import time
from pathlib import Path

from myagent import create_react_agent


def stall(signum, frame):
    time.sleep(float(Path(os.environ["STALL_FILE"]).read_text()))


signal.signal(signal.SIGUSR2, stall)  # signals are handled in the main thread, where the loop is
agent = create_react_agent(name="stalling", tools=[])
