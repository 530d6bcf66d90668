"""What `deploy/` holds: files that load, and say of the server what is so."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from django.urls import resolve

from agents.metrics.instruments import Histogram
from agents.metrics.measures import ALL
from myagent.protocol.error_codes import CloseCode
from tests.docs.test_docs import page, section
from tests.support.markdown import blocks
from tests.support.paths import ROOT
from tests.support.services import module, program

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
STOP_SECONDS = 15
"""How much longer than active runs have a stop may take (docs/operations.md)."""
FOREIGN = re.compile(r"^(OTEL_|PYTHON|PIP_|PATH$)")


@cache
def variables() -> set[str]:
    """The variables of the environment that the documentation has, and so the server."""
    return set(re.findall(r"^\| `([A-Z_]+)`", section("docs/operations.md", "Configuration"), re.MULTILINE))


def assert_known(names):
    assert {name for name in names if not FOREIGN.match(name)} <= variables()


def probe(path: str) -> str:
    return resolve(path).url_name


def drain(command: list[str]) -> int:
    assert command[0] == "runagent"
    return int(command[command.index("--drain-seconds") + 1])


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


# --- the image --------------------------------------------------------------------------------------------------------


@cache
def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines]


def given(instruction: str) -> list[str]:
    return [value for name, value in instructions() if name == instruction]


def test_the_image_has_what_it_needs_and_no_rights():
    ours = [shlex.split(value)[:-1] for value in given("COPY") if not value.startswith("--from")]
    sources = [name for names in ours for name in names]
    assert all((ROOT / name).exists() for name in sources)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (packages,) = re.findall(r"^include = (\[.*\])$", project, re.MULTILINE)
    assert {name.removesuffix("*") for name in json.loads(packages)} <= set(sources)
    for ignore in (".containerignore", ".dockerignore"):
        kept = [line[1:] for line in (ROOT / ignore).read_text().splitlines() if line.startswith("!")]
        assert set(kept) == set(sources), "what is copied must be in the context, and nothing else"
    assert given("USER") == ["10001:10001"] and given("EXPOSE") == ["8080"] and given("STOPSIGNAL") == ["SIGTERM"]
    assert_known(name for value in given("ENV") for name in re.findall(r"(?:^|\s)([A-Z_]+)=", value))
    (entry,), (command,) = map(json.loads, given("ENTRYPOINT")), map(json.loads, given("CMD")[-1:])
    assert entry == ["python", "manage.py"] and command[0] == "runagent"
    (health,) = given("HEALTHCHECK")
    assert probe(re.search(r"http://127\.0\.0\.1:8080(/\w+)", health)[1]) == "health"
    extras = re.search(r"pip install '\.\[([\w,]+)\]'", " ".join(given("RUN")))[1]
    assert all(f"\n{extra} = [" in project for extra in extras.split(","))


@pytest.mark.slow
def test_the_commands_of_the_image_work(tmp_path):
    """Everything but the layers themselves: the installation, the user's commands, the health check."""
    context, home = tmp_path / "src", tmp_path / "srv"
    context.mkdir(), home.mkdir()
    for value in given("COPY"):
        if not value.startswith("--from"):
            *names, _ = shlex.split(value)
            for name in names:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                target = home if name == "manage.py" else context
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                copy(ROOT / name, target / name)
    python = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    installed = subprocess.run([*python, tmp_path / "opt", context], capture_output=True, text=True, timeout=300)
    assert installed.returncode == 0, installed.stderr
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MYAGENT_", "DJANGO_"))},
        "PYTHONPATH": str(tmp_path / "opt"),
        "MYAGENT_DATA_DIR": str(tmp_path / "var" / "data"),
        "MYAGENT_LOG_FORMAT": "json",
        "MYAGENT_AGENTS": str(context / "examples"),
        "MYAGENT_LANGUAGE": "en",
    }
    for command in (["check", "--fail-level", "WARNING"], ["migrate", "--verbosity", "0"], ["runagent", "--help"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=home, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


# --- compose ----------------------------------------------------------------------------------------------------------


@cache
def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))


def test_the_services_fit_together():
    services, ours = compose()["services"], []
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"], f"{name} waits for {other}"
        assert set(service["networks"]) <= compose()["networks"].keys()
        if service["image"] == "myagent":
            assert_known(service["environment"])
            assert (DEPLOY / "compose" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
            for variable in ("DATABASE_URL", "REDIS_URL"):
                assert re.search(r"(?:@|//)(\w+):\d+/", service["environment"][variable])[1] in services
            ours.append(name)
    servers = [name for name in ours if services[name]["command"][0] == "runagent"]
    assert len(servers) == 2
    for name in servers:
        assert seconds(services[name]["stop_grace_period"]) >= drain(services[name]["command"]) + STOP_SECONDS
        assert probe(re.search(r":8080(/\w+)", services[name]["healthcheck"]["test"][-1])[1]) == "ready"
    proxy = services["nginx"]["networks"]["inside"]["ipv4_address"]
    assert {services[name]["environment"]["MYAGENT_TRUSTED_PROXIES"] for name in servers} == {proxy}
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose" / "compose.yaml").read_text()))
    shown = dict(
        line.split("=", 1)
        for line in (DEPLOY / "compose" / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert asked <= shown.keys() and not any(shown[name] for name in asked), "secrets are not shown"
    upstreams = re.findall(r"^    server ([\w-]+):8080", nginx_conf(), re.MULTILINE)
    assert sorted(upstreams) == sorted(servers)


def nginx_conf() -> str:
    return (DEPLOY / "compose" / "nginx.conf").read_text(encoding="utf-8")


@pytest.mark.slow
def test_nginx_takes_its_configuration(tmp_path):
    text = re.sub(r"server (server-\d):8080", "server 127.0.0.1:9", nginx_conf())
    text = text.replace("/dev/stdout", str(tmp_path / "access.log"))
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ {paths}{text} }}"
    (tmp_path / "nginx.conf").write_text(around, encoding="utf-8")
    command = [program("nginx"), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_every_proxy_sets_the_headers_that_the_documentation_has():
    documented = re.findall(r"^        proxy_set_header .*$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert documented and re.findall(r"^        proxy_set_header .*$", nginx_conf(), re.MULTILINE) == documented


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@cache
def objects() -> dict[tuple[str, str], dict]:
    found = {}
    for path in MANIFESTS:
        for item in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if item["kind"] != "Kustomization":
                found[item["kind"], item["metadata"]["name"]] = item
    return found


def pod(kind: str, name: str) -> tuple[dict, dict]:
    spec = objects()[kind, name]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_the_server_is_probed_and_stopped_as_it_wants_it():
    spec, container = pod("Deployment", "myagent")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = {}
    for kind in ("startup", "liveness", "readiness"):
        get = container[f"{kind}Probe"]["httpGet"]
        assert ports[get["port"]] == int(container["args"][container["args"].index("--port") + 1])
        asked[kind] = probe(get["path"])
    assert asked == {"startup": "health", "liveness": "health", "readiness": "ready"}
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert spec["terminationGracePeriodSeconds"] >= int(pause) + drain(container["args"]) + STOP_SECONDS
    annotations = objects()["Deployment", "myagent"]["spec"]["template"]["metadata"]["annotations"]
    assert probe(annotations["prometheus.io/path"]) == "metrics"
    assert int(annotations["prometheus.io/port"]) in ports.values()


def test_the_objects_find_one_another():
    for kind, name in (("Deployment", "myagent"), ("Deployment", "redis"), ("Job", "myagent-migrate")):
        spec, container = pod(kind, name)
        assert spec["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
        assert not spec["automountServiceAccountToken"]
        mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
        assert mounts == {volume["name"] for volume in spec.get("volumes", ())}
        for source in container.get("envFrom", ()):
            if (named := source.get("configMapRef")) is not None:
                assert_known(objects()["ConfigMap", named["name"]]["data"])
    labels = objects()["Deployment", "myagent"]["spec"]["template"]["metadata"]["labels"]
    selectors = (
        objects()["Deployment", "myagent"]["spec"]["selector"]["matchLabels"],
        objects()["PodDisruptionBudget", "myagent"]["spec"]["selector"]["matchLabels"],
        objects()["Service", "myagent"]["spec"]["selector"],
    )
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert (
        objects()["PodDisruptionBudget", "myagent"]["spec"]["minAvailable"]
        < (objects()["Deployment", "myagent"]["spec"]["replicas"])
    )
    (rule,) = objects()["Ingress", "myagent"]["spec"]["rules"]
    settings = objects()["ConfigMap", "myagent-settings"]["data"]
    assert settings["MYAGENT_PUBLIC_URL"] == f"https://{rule['host']}"
    (path,) = rule["http"]["paths"]
    (port,) = objects()["Service", path["backend"]["service"]["name"]]["spec"]["ports"]
    assert path["backend"]["service"]["port"]["name"] == port["name"]
    assert ("Service", re.match(r"redis://([\w-]+):6379", settings["REDIS_URL"])[1]) in objects()
    secrets = re.search(r"# (DATABASE_URL.*)", (DEPLOY / "kubernetes" / "deployment.yaml").read_text())[1]
    assert_known(secrets.split(", "))


def test_the_list_of_manifests_is_whole():
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    there = {path.name for path in MANIFESTS} - {"kustomization.yaml", "migrate.yaml"}
    assert set(listed["resources"]) == there
    (image,) = listed["images"]
    assert pod("Job", "myagent-migrate")[1]["image"] == f"{image['newName']}:{image['newTag']}"
    assert pod("Deployment", "myagent")[1]["image"] == image["name"]


@pytest.mark.slow
def test_kubectl_takes_the_manifests():
    command = [program("kubectl"), "kustomize", str(DEPLOY / "kubernetes")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    images = {
        container["image"]
        for item in yaml.safe_load_all(done.stdout)
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    }
    assert pod("Job", "myagent-migrate")[1]["image"] in images


# --- systemd ----------------------------------------------------------------------------------------------------------


def lines(unit: Path) -> list[tuple[str, str]]:
    text = unit.read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit(unit):
    known = dict(lines(unit))
    assert int(known["TimeoutStopSec"]) >= drain(known["ExecStart"].split()[2:]) + STOP_SECONDS
    assert known["ExecReload"] == "/bin/kill -HUP $MAINPID" and known["User"] != "root"
    assert_known(value.partition("=")[0] for name, value in lines(unit) if name == "Environment")
    assert dict(value.split("=") for name, value in lines(unit) if name == "Environment")["MYAGENT_DATA_DIR"] == (
        f"/var/lib/{known['StateDirectory']}"
    )


def test_the_units_differ_in_the_port_and_the_workers_alone():
    one, many = (
        [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")] for path in UNITS
    )
    differ = [(a, b) for a, b in zip(one, many, strict=True) if a != b]
    assert [b.partition("=")[0] for _, b in differ] == ["Description", "ExecStart"]
    assert differ[1][0].replace("--port 8080", "--port %i").removesuffix(" --workers auto") == differ[1][1]


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit, tmp_path):
    """With the program that it starts at a place where there is one."""
    text = unit.read_text(encoding="utf-8").replace("/srv/myagent/.venv/bin/python", sys.executable)
    (tmp_path / unit.name).write_text(text, encoding="utf-8")
    command = [program("systemd-analyze"), "verify", "--man=no", str(tmp_path / unit.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


# --- Prometheus and Grafana -------------------------------------------------------------------------------------------

NAMES = re.compile(r"\b(?:myagent|process)_[a-z_]+\b")


@cache
def exported() -> dict[str, set[str]]:
    """The names of all series that a server exports, with their labels."""
    module("prometheus_client", extra="metrics")
    from agents.metrics.process_gauges import PROCESS_GAUGES

    found = {name: set() for name in PROCESS_GAUGES} | {"myagent_build_info": {"version", "python"}}
    for one in (*ALL, *PROCESS_GAUGES.values()):
        suffixes = ("_bucket", "_sum", "_count") if isinstance(one, Histogram) else ("",)
        found |= {f"{one.name}{suffix}": {*one.labels, "le"} for suffix in suffixes}
    return found


def assert_measurable(expression: str) -> set[str]:
    names = set(NAMES.findall(expression))
    assert names <= exported().keys(), expression
    grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(", ")}
    selected = set(re.findall(r"[{,](\w+)(?:=|!)", expression))
    of_these = set().union(*(exported()[name] for name in names))
    assert grouped | selected <= of_these | {"le", "instance", "job"}, expression
    assert expression.count("(") == expression.count(")") and expression.count("{") == expression.count("}")
    return names


@cache
def dashboard() -> dict:
    return json.loads((DEPLOY / "grafana" / "myagent.json").read_text(encoding="utf-8"))


def test_the_dashboard_shows_everything_that_is_exported_and_nothing_else():
    shown, places = set(), set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24 and (x, y) not in places, panel["title"]
                places.add((x, y))
        assert panel["type"] == "row" or panel["targets"]
        for target in panel.get("targets", ()):
            shown |= assert_measurable(target["expr"])
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert legend <= set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", target["expr"]))))
    variables = {item["name"] for item in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w+)", json.dumps(dashboard())))
    assert used == variables
    missing = {one.name for one in ALL} - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert missing == set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_rules_are_about_what_is_exported():
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = scraped["scrape_configs"]
    assert (DEPLOY / "prometheus" / scraped["rule_files"][0]).is_file() and probe(job["metrics_path"]) == "metrics"
    targets = {target.partition(":")[0] for target in job["static_configs"][0]["targets"]}
    assert targets <= compose()["services"].keys()
    codes = {code for code in vars(CloseCode).values() if isinstance(code, int)}
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        names = assert_measurable(rule["expr"])
        assert names or rule["expr"].startswith("up{")
        assert set(re.findall(r'job="(\w+)"', rule["expr"])) <= {job["job_name"]}
        assert {int(code) for code in re.findall(r'code="(\d+)"', rule["expr"])} <= codes
        told = " ".join(rule["annotations"].values())
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule["expr"])))) | {"instance"}
        assert set(re.findall(r"\$labels\.(\w+)", told)) <= grouped
        assert set(NAMES.findall(told)) <= {one.name for one in ALL}
        assert f"\n| `{rule['alert']}` |" in page("docs/operations.md")


# --- the commands of the documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["docs/operations.md", "docs/operations.zh.md"])
def test_the_documented_commands_are_about_what_is_there(name):
    commands = [shlex.split(line) for block in blocks(name, mark="deploy") for line in ["cd .", *block.commands]]
    for command in commands:
        if command[0] == "cd":
            folder = ROOT / command[1]
        elif command[:2] == ["docker", "compose"]:
            named = [word for word in command if word in ("migrate", *compose()["services"])]
            assert folder == DEPLOY / "compose" and (named or command[2] == "up")
        for word in command:
            if word.startswith("deploy/"):
                assert (folder / word).exists() or (ROOT / word).exists(), word
            for kind, target in re.findall(r"^(job|deployment)/(.+)$", word):
                assert (kind.capitalize(), target) in objects()
    programs = {command[0] for command in commands}
    assert programs == {"docker", "cd", "cp", "kubectl", "systemctl", "journalctl"}
