"""What is needed where one machine is not enough: files that others read must say what a server does."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from helpers import options_of

from spago_jax.serve.config import ServeConfig, read_config

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def test_the_manifest_waits_longer_than_a_server_drains():
    config_map, deployment, service = documents("kubernetes/server.yaml")
    config = read_config(yaml.safe_load(config_map["data"]["serve.yaml"]))
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > config.drain_delay + config.drain_timeout
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {
        "startupProbe": "/health/ready", "readinessProbe": "/health/ready", "livenessProbe": "/health/live",
    }  # fmt: skip
    assert {arg for arg in container["args"] if arg.startswith("--")} <= options_of("serve")
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert str(Path(config.keys).parent) in mounted
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": config.port, "grpc": config.grpc_port}
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    # Readiness is looked at often enough to be seen before nothing more is accepted.
    assert container["readinessProbe"]["periodSeconds"] < config.drain_delay


def test_the_autoscaler_reads_a_gauge_that_there_is():
    from spago_jax.serve.metrics import Metrics

    (scaled,) = documents("kubernetes/autoscale.yaml")
    (name,) = re.findall(r"spago_\w+", scaled["spec"]["triggers"][0]["metadata"]["query"])
    assert name in Metrics().text()[0].decode()


def test_kserve_asks_for_options_and_a_path_that_there_are():
    (service,) = documents("kubernetes/kserve.yaml")
    (container,) = service["spec"]["predictor"]["containers"]
    assert {arg for arg in container["args"] if arg.startswith("--")} <= options_of("serve")
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_envoy_keeps_connections_less_long_than_a_server():
    (config,) = documents("envoy/envoy.yaml")
    clusters = {each["name"]: each for each in config["static_resources"]["clusters"]}
    http = clusters["spago-http"]["typed_extension_protocol_options"]
    idle = next(iter(http.values()))["common_http_protocol_options"]["idle_timeout"]
    assert int(idle.removesuffix("s")) < ServeConfig().keep_alive
    (check,) = clusters["spago-http"]["health_checks"]
    assert check["http_health_check"]["path"] == "/health/ready"
    (check,) = clusters["spago-grpc"]["health_checks"]
    assert check["grpc_health_check"]["service_name"] == "spago.v1.Spago"
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert {route["route"]["cluster"] for route in routes} == set(clusters)
    assert routes[1]["route"]["retry_policy"]["retriable_status_codes"] == [429, 503]


def test_the_image_runs_as_a_user_without_rights_and_takes_options_that_there_are():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["spago-jax", "serve"]' in text
    assert "/health/ready" in text
    (variables,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    source = (ROOT / "spago_jax" / "cli" / "serve.py").read_text(encoding="utf-8")
    for name in re.findall(r"(SPAGO_\w+)=", variables):
        assert name == "SPAGO_CACHE" or f'"{name}"' in source
    assert "'.[serve]'" in text


@pytest.mark.parametrize("name", ["ray_serve.py", "own_app.py"])
def test_an_example_is_python_of_names_that_there_are(name):
    tree = ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spago_jax"):
            module = __import__(node.module, fromlist=["*"])
            assert all(hasattr(module, each.name) for each in node.names)


@pytest.mark.slow
def test_the_example_of_ray_can_be_imported():
    pytest.importorskip("ray.serve", reason="needs Ray Serve")
    import runpy

    assert "server" in runpy.run_path(str(EXAMPLES / "ray_serve.py"))
