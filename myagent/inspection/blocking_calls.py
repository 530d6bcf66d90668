"""Well-known calls that wait: what must not be called in `async def` as it stands.

Names are written out from the top of their package, with `()` for the object that a call returns.
"""

from __future__ import annotations

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_PROCESSES = "asyncio.create_subprocess_exec(…)"
_HTTP = "httpx.AsyncClient().get(…)"

CALLS: dict[str, str] = {
    "time.sleep": "asyncio.sleep(…)",
    **{f"requests.{verb}": _HTTP for verb in _VERBS},
    **{f"httpx.{verb}": _HTTP for verb in (*_VERBS, "stream")},
    "urllib.request.urlopen": _HTTP,
    "urllib.request.urlretrieve": _HTTP,
    "urllib3.request": _HTTP,
    **{
        f"subprocess.{name}": _PROCESSES
        for name in ("run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")
    },
    **{f"os.{name}": _PROCESSES for name in ("system", "popen", "wait", "waitpid")},
    **{
        f"socket.{name}": "asyncio.open_connection(…)"
        for name in ("create_connection", "getaddrinfo", "gethostbyname", "gethostbyaddr")
    },
    "concurrent.futures.wait": "asyncio.wait(…)",
    "sqlite3.connect": "",
    "psycopg.connect": "psycopg.AsyncConnection.connect(…)",
    "psycopg2.connect": "",
    "pymysql.connect": "",
    "MySQLdb.connect": "",
    "mysql.connector.connect": "",
    "oracledb.connect": "oracledb.connect_async(…)",
    "pyodbc.connect": "",
}
"""Functions that wait, and what to await in their place where there is something well known."""

CLIENTS = frozenset(
    {
        *("requests.Session", "requests.session", "httpx.Client", "urllib3.PoolManager"),
        *("http.client.HTTPConnection", "http.client.HTTPSConnection"),
        *("sqlite3.connect", "sqlite3.Connection", "sqlite3.Cursor"),
        *("psycopg.connect", "psycopg.Connection", "psycopg.Cursor", "psycopg2.connect"),
        *("pymysql.connect", "MySQLdb.connect", "mysql.connector.connect", "oracledb.connect", "pyodbc.connect"),
        *("redis.Redis", "redis.StrictRedis", "redis.from_url", "redis.Redis.from_url"),
        *("pymongo.MongoClient", "elasticsearch.Elasticsearch"),
        *("boto3.client", "boto3.resource", "paramiko.SSHClient"),
        *("openai.OpenAI", "anthropic.Anthropic"),
        *("socket.socket", "socket.create_connection"),
        *("smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP", "imaplib.IMAP4", "imaplib.IMAP4_SSL"),
    }
)
"""What makes an object whose methods wait."""

HARMLESS = frozenset({"close", "cursor", "mount", "pipeline", "setblocking", "settimeout", "setsockopt", "fileno"})
"""Methods of such objects that do not."""

_CLASSES = frozenset((name.partition(".")[0], name.rpartition(".")[2]) for name in CLIENTS)


def instead_of(call: str) -> str | None:
    """What to await in place of `call`, empty when there is nothing well known; None when it does not wait."""
    if call in CALLS:
        return CALLS[call]
    owner, _, method = call.rpartition(".")
    if method in HARMLESS:
        return None
    while owner:
        # The last object of a chain such as sqlite3.connect().cursor().execute is what counts least.
        if owner.endswith("()") and owner.removesuffix("()") in CLIENTS:
            return ""
        owner = owner.rpartition(".")[0]
    return None


def client_made_as(value: object) -> str | None:
    """For an object whose methods wait, such as a `requests.Session`, the expression that makes one."""
    for kind in type(value).__mro__:
        package = kind.__module__.partition(".")[0]
        if (package, kind.__name__) in _CLASSES:
            (name, *_) = sorted(n for n in CLIENTS if n.startswith(f"{package}.") and n.endswith(f".{kind.__name__}"))
            return f"{name}()"
    return None
