"""All that a server tells of itself to Prometheus. Names are for ever; docs/operations.md explains them.

Labels have few values: names of agents, tools and models, codes. Never a user, a session or a run.
"""

from __future__ import annotations

from agents.metrics.instruments import OTHER, Gauge, Histogram, Instrument, LabelledCounter

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_READING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_MODEL = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)

# --- connections ---

CONNECTIONS = Gauge("myagent_connections", "Connections that are open.", ("door",))
CONNECTIONS_CLOSED = LabelledCounter(
    "myagent_connections_closed_total", "Connections that have ended, by close code.", ("door", "code")
)
FRAMES_RECEIVED = LabelledCounter("myagent_frames_received_total", "Frames of clients, by event.", ("event",))
RECEIVED_BYTES = LabelledCounter("myagent_received_bytes_total", "Bytes of the frames of clients.", ("door",))
SENT_BYTES = LabelledCounter("myagent_sent_bytes_total", "Bytes of the frames to clients.", ("door",))
REFUSALS = LabelledCounter("myagent_refusals_total", "Requests that were refused, by code.", ("code",))
EVENTS_LOGGED = LabelledCounter(
    "myagent_events_logged_total", "Events that were stored in the log of a session.", ("event",)
)
EVENTS_SENT = LabelledCounter(
    "myagent_events_sent_total", "Logged events that were sent: as they came, or read from the log.", ("kind",)
)
REPLAY_DURATION = Histogram(
    "myagent_replay_duration_seconds", "How long it took to send a client what it had missed.", bounds=_READING
)

# --- runs ---

RUNS_RUNNING = Gauge("myagent_runs_running", "Runs that are active, those that wait for a person included.", ("agent",))
RUNS_QUEUED = Gauge("myagent_runs_queued", "Runs that wait, in the whole database.", ("agent",), merge=None)
CONFIRMATIONS_PENDING = Gauge(
    "myagent_confirmations_pending", "Questions that wait for a person, in the whole database.", ("agent",), merge=None
)
RUNS_STARTED = LabelledCounter("myagent_runs_started_total", "Runs that began.", ("agent",))
RUNS_ENDED = LabelledCounter("myagent_runs_ended_total", "Runs that ended, by outcome.", ("agent", "outcome"))
RUN_ERRORS = LabelledCounter(
    "myagent_run_errors_total", "Runs that ended with an error, by its code.", ("agent", "code")
)
RUN_DURATION = Histogram("myagent_run_duration_seconds", "From the start of a run to its end.", ("agent",), _LONG)
RUN_QUEUE = Histogram(
    "myagent_run_queue_seconds", "From an accepted message to the start of its run.", ("agent",), _LONG
)
FIRST_TEXT = Histogram(
    "myagent_first_text_seconds", "From an accepted message to the first text of its answer.", ("agent",), _LONG
)
RUN_TAKEOVERS = LabelledCounter(
    "myagent_run_takeovers_total", "Runs that were resumed because their process had stopped."
)
STEP_RESETS = LabelledCounter("myagent_step_resets_total", "Steps whose text became void, by reason.", ("reason",))

# --- models and tools ---

MODEL_REQUESTS = LabelledCounter(
    "myagent_model_requests_total", "Requests to models, by outcome.", ("model", "outcome")
)
MODEL_RETRIES = LabelledCounter("myagent_model_retries_total", "Requests that were repeated.", ("model",))
MODEL_DURATION = Histogram(
    "myagent_model_request_duration_seconds", "How long a request to a model took.", ("model",), _MODEL
)
MODEL_FIRST_CHUNK = Histogram(
    "myagent_model_first_chunk_seconds", "From a request to the first piece of the reply.", ("model",), _MODEL
)
MODEL_FALLBACKS = LabelledCounter(
    "myagent_model_fallbacks_total", "Steps from which on another model answered, by that one.", ("agent", "model")
)
MODELS_AWAY = Gauge(
    "myagent_model_away",
    "1 while a model that others stand in for is known not to answer, else 0.",
    ("model", "endpoint"),
    merge=max,
)
INPUT_TOKENS = LabelledCounter("myagent_model_input_tokens_total", "Tokens that models read.", ("model", "agent"))
OUTPUT_TOKENS = LabelledCounter("myagent_model_output_tokens_total", "Tokens that models wrote.", ("model", "agent"))
CACHED_TOKENS = LabelledCounter(
    "myagent_model_cached_input_tokens_total", "Of the tokens read, those of a cache.", ("model",)
)
REASONING_TOKENS = LabelledCounter(
    "myagent_model_reasoning_output_tokens_total", "Of the tokens written, those of reasoning.", ("model",)
)
MODEL_COST = LabelledCounter(
    "myagent_model_cost_total", "What models cost that have a price, in the currency.", ("model", "agent", "currency")
)
TOOL_CALLS = LabelledCounter("myagent_tool_calls_total", "Calls of tools, by status.", ("agent", "tool", "status"))
TOOL_DURATION = Histogram(
    "myagent_tool_call_duration_seconds", "How long a call of a tool took.", ("agent", "tool"), _LONG
)
TOOLS_BLOCKING = Gauge("myagent_blocking_tools", "Tools that block their loop again and again.", ("agent",), merge=max)
CONFIRMATIONS_ANSWERED = LabelledCounter(
    "myagent_confirmations_answered_total", "Questions that were answered.", ("answer",)
)

# --- the process and its database ---

COMMIT_DURATION = Histogram("myagent_commit_duration_seconds", "How long a commit took.", bounds=_SHORT)
COMMIT_RETRIES = LabelledCounter("myagent_commit_retries_total", "Commits that the database did not take at once.")
DATABASE_HEALTHY = Gauge("myagent_database_healthy", "1 while what clients send is stored, else 0.", merge=min)
OLDEST_COMMIT = Gauge("myagent_oldest_commit_seconds", "How long the oldest open commit has lasted.", merge=max)
LOOP_LAG = Histogram(
    "myagent_event_loop_lag_seconds", "How much later than planned the event loop got to something.", bounds=_SHORT
)
WORKERS = Gauge("myagent_workers", "Processes that this answer is about.")

ALL: tuple[Instrument, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, LabelledCounter | Gauge | Histogram)
)

_CLOSE_CODES = frozenset({1000, 1001, 1005, 1006, 1009, 1011, 1012, 4400, 4401, 4403, 4404, 4408, 4429})


def close_code(code: int | None) -> str:
    """A close code as a label: clients may send any of some thousand."""
    code = 1006 if code is None else code
    return str(code) if code in _CLOSE_CODES else OTHER
