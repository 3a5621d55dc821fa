"""The dashboard of examples/grafana: what can be known of it without a Grafana."""

import itertools
import json
import pathlib
import re
import tempfile
import unittest

import support
from alerts_test import METRICS, metric_names, promtool

DASHBOARD = support.ROOT / "examples" / "grafana" / "kalshi-ingest.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID_WIDTH = 24
UNITS = {"s", "short", "percentunit", "dateTimeFromNow", "cps", "reqps"}


def read():
    """The dashboard as Grafana gets it."""
    return json.loads(DASHBOARD.read_text())


def expressions(dashboard):
    """Each query with its panel's title."""
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def as_prometheus_gets_it(expression):
    """With the variables filled in as Grafana does."""
    for name, value in (("$__rate_interval", "5m"), ("$watch", "KXBTCD|\\\\*"), ("$job", ".*")):
        expression = expression.replace(name, value)
    return expression


def overlaps(one, other):
    """Whether two places on the grid share a cell."""
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return across and down


def faults(dashboard):
    """What is wrong with a dashboard, in words."""
    found = []
    if dashboard["id"] is not None or dashboard["uid"] != "kalshi-ingest":
        found.append("id has to be null and uid has to stay what links are made of")
    if dashboard["schemaVersion"] < 39 or dashboard["refresh"] != "1m":
        found.append("schemaVersion or refresh")
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if variables["datasource"]["type"] != "datasource" or variables["datasource"]["query"] != "prometheus":
        found.append("no choice of a datasource")
    if not variables["watch"]["query"]["query"].startswith("label_values(") or not variables["watch"]["includeAll"]:
        found.append("no choice of a watch")
    panels = dashboard["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        found.append("two panels with one id")
    for one, other in itertools.combinations(panels, 2):
        if overlaps(one["gridPos"], other["gridPos"]):
            found.append(f"{one['title']} and {other['title']} overlap")
    for panel in panels:
        found += [f"{panel['title']}: {fault}" for fault in panel_faults(panel)]
    for place, value in datasources(dashboard):
        if value != SOURCE:
            found.append(f"{place}: another datasource: {value}")
    for variable in variables.values():
        found += [f"an unknown name: {name}" for name in re.findall(r"kalshi_\w+", str(variable["query"])) if name not in METRICS]
    used = set(re.findall(r"\$(?:\{(\w+)\}|(\w+))", json.dumps(panels)))
    for name in {braced or plain for braced, plain in used} - set(variables):
        if name != "__rate_interval":
            found.append(f"an unknown variable: {name}")
    return found


def panel_faults(panel):
    """What is wrong with one panel."""
    if panel["type"] not in {"stat", "timeseries", "table"}:
        yield f"type {panel['type']}"
    if len(panel["description"]) < 10 or not panel["title"]:
        yield "no title or description"
    if panel.get("datasource") != SOURCE or any(target.get("datasource") != SOURCE for target in panel["targets"]):
        yield "no datasource"
    place = panel["gridPos"]
    if place["x"] + place["w"] > GRID_WIDTH or min(place["w"], place["h"]) < 1:
        yield "not on the grid"
    units = [panel["fieldConfig"]["defaults"]["unit"]]
    for override in panel["fieldConfig"]["overrides"]:
        units += [each["value"] for each in override["properties"] if each["id"] == "unit"]
    if not set(units) <= UNITS:
        yield f"an unknown unit in {units}"
    names = [target["refId"] for target in panel["targets"]]
    if len(set(names)) != len(names):
        yield "two queries of one name"
    for override in panel["fieldConfig"]["overrides"]:
        of_query = re.fullmatch(r"Value #(\w)", override["matcher"]["options"])
        if of_query and of_query[1] not in names:
            yield f"{of_query[0]} is no query"
    for target in panel["targets"]:
        if not metric_names(target["expr"]) <= METRICS:
            yield f"an unknown metric in {target['expr']}"
        if 'job=~"$job"' not in target["expr"]:
            yield f"not of the chosen job: {target['expr']}"


def datasources(part, place="dashboard"):
    """Every datasource that is named anywhere, with its place."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "datasource":
                yield place, value
            yield from datasources(value, f"{place}.{name}")
    elif isinstance(part, list):
        for at, value in enumerate(part):
            yield from datasources(value, f"{place}[{at}]")


def refused(queries):
    """What promtool says of the queries, each made a rule; empty when it takes them all."""
    rules = [{"record": f"dashboard:query{at}", "expr": as_prometheus_gets_it(query)} for at, query in enumerate(queries)]
    with tempfile.TemporaryDirectory() as name:
        # JSON is YAML, too.
        pathlib.Path(name, "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        done = promtool("check", "rules", "rules.yml", directory=name)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Dashboard(unittest.TestCase):
    """What an operator imports."""

    def test_the_structure_is_sound(self):
        self.assertEqual([], faults(read()))

    def test_prometheus_takes_every_query(self):
        queries = [expression for _, expression in expressions(read())]
        self.assertGreater(len(queries), 20)
        self.assertEqual("", refused(queries))

    def test_what_matters_is_on_it(self):
        shown = set().union(*(metric_names(expression) for _, expression in expressions(read())))
        self.assertEqual(set(), METRICS - shown, "exported and not shown")

    def test_each_exit_status_has_its_word(self):
        panel = next(panel for panel in read()["panels"] if panel["title"] == "Last pass")
        words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        reference = (support.ROOT / "docs/reference.md").read_text()
        table = set(re.findall(r"^\| (\d+) \| ", reference.partition("| exit | meaning")[2], re.MULTILINE))
        # A pass is never incomplete: 6 is of backfill and completeness.
        self.assertEqual(table - {"6"}, set(words))

    def test_mistakes_are_seen(self):
        def broken(change):
            dashboard = read()
            change(dashboard)
            return faults(dashboard)

        stat = 0
        for name, change in {
            "id": lambda d: d.update(id=7),
            "two ids": lambda d: d["panels"][1].update(id=d["panels"][stat]["id"]),
            "overlap": lambda d: d["panels"][1]["gridPos"].update(x=1),
            "off the grid": lambda d: d["panels"][-1]["gridPos"].update(w=25),
            "fixed datasource": lambda d: d["panels"][stat]["targets"][0].update(datasource={"type": "prometheus", "uid": "P1809F7CD"}),
            "no datasource": lambda d: d["panels"][stat]["targets"][0].pop("datasource"),
            "unknown metric": lambda d: d["panels"][stat]["targets"][0].update(expr='max(kalshi_ingest_stale{job=~"$job"})'),
            "unknown variable": lambda d: d["panels"][stat]["targets"][0].update(
                expr='max(kalshi_ingest_markets{job=~"$job", watch=~"$series"})'
            ),
            "no description": lambda d: d["panels"][stat].update(description=""),
            "unit": lambda d: d["panels"][stat]["fieldConfig"]["defaults"].update(unit="seconds"),
            "label_values": lambda d: d["templating"]["list"][2]["query"].update(query="label_values(kalshi_sla_seconds, watch)"),
        }.items():
            with self.subTest(name):
                self.assertNotEqual([], broken(change))
        self.assertNotEqual("", refused(["max by (watch (kalshi_ingest_markets)"]))
        self.assertNotEqual("", refused(["rate(kalshi_ingest_requests_total)"]))


if __name__ == "__main__":
    unittest.main()
