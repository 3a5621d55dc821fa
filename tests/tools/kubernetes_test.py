"""examples/kubernetes: kustomize builds it, the schemas of old and new Kubernetes take it, and it means what we want.

The schemas know nothing of meaning, so the rules below are ours. Each one is shown to be able to complain.
"""

import copy
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support
import yaml

EXAMPLES = support.ROOT / "examples/kubernetes"
VERSIONS = ("1.31", "1.37")
SECRET_MODE = 0o440
NONROOT = 65532
CRONJOB_NAME_MAX = 52
# What the program allows itself after SIGTERM: STOP_MAX of src/watchdog.rs.
STOP_SECONDS_MAX = 20


def built(directory):
    """What `kubectl apply -k` would send, as text."""
    command = ["kubectl", "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{directory}: {done.stderr}")
    return done.stdout


def helped(*command):
    """The help text of a command, on one line."""
    return " ".join(support.ingest(*command, "--help", check=0).stdout.split())


def seconds(span):
    number, word = re.fullmatch(r"(\d+)([sm])", span).groups()
    return int(number) * {"s": 1, "m": 60}[word]


def pod_of(document):
    """The pod template of a workload, None of anything else."""
    if document["kind"] == "CronJob":
        return document["spec"]["jobTemplate"]["spec"]["template"]
    if document["kind"] == "Deployment":
        return document["spec"]["template"]
    return None


def environment(container):
    return {entry["name"]: entry.get("value") for entry in container.get("env", [])}


def is_every_minute(schedule):
    """Whether the five fields say nothing but: each minute."""
    return schedule.split() == ["*"] * 5


class Rules:
    """What we want of the documents; each method yields complaints."""

    def __init__(self, documents):
        self.documents = documents
        self.run_help = helped("run")
        self.serve_help = helped("serve")
        statuses = re.search(r"Exit status: (.*) When several", helped()).group(1)
        self.statuses = {int(number) for number in re.findall(r"(?:^| )(\d+) (?=[a-z])", statuses)}

    def of_kind(self, kind):
        return [document for document in self.documents if document["kind"] == kind]

    def complaints(self):
        """Every complaint of every rule."""
        rules = [getattr(self, name) for name in dir(self) if name.startswith("rule_")]
        return [complaint for rule in rules for complaint in rule()]

    def pods(self):
        """Name, pod specification and labels of every workload."""
        for document in self.documents:
            template = pod_of(document)
            if template:
                yield document["metadata"]["name"], template["spec"], template["metadata"]["labels"]

    def containers(self):
        for name, pod, _ in self.pods():
            for container in pod.get("initContainers", []) + pod["containers"]:
                yield name, pod, container

    def rule_pods_are_confined(self):
        for name, pod, _ in self.pods():
            context = pod.get("securityContext", {})
            if pod.get("automountServiceAccountToken") is not False:
                yield f"{name}: has a token of the API"
            if pod.get("enableServiceLinks") is not False:
                yield f"{name}: variables of foreign services could look like ours"
            if context.get("runAsNonRoot") is not True or context.get("runAsUser") != NONROOT:
                yield f"{name}: may be root"
            if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
                yield f"{name}: no seccomp profile"
            if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
                yield f"{name}: shares the host's namespaces"
            if pod.get("terminationGracePeriodSeconds", 30) <= STOP_SECONDS_MAX:
                yield f"{name}: no time to end"

    def rule_containers_are_confined(self):
        for name, _, container in self.containers():
            context = container.get("securityContext", {})
            if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
                yield f"{name}: may become more"
            if context.get("readOnlyRootFilesystem") is not True:
                yield f"{name}: may write to its image"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name}: has capabilities"
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
                yield f"{name}: no resources"

    def rule_images_have_the_version(self):
        version = re.search(r'^version = "(.*)"$', (support.ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        for name, _, container in self.containers():
            if container["image"].rpartition(":")[2] != version:
                yield f"{name}: the image is not of version {version}"

    def rule_secrets_are_files(self):
        for name, pod, container in self.containers():
            for entry in container.get("env", []):
                if "secretKeyRef" in entry.get("valueFrom", {}) or entry["name"] == "DATABASE_URL":
                    yield f"{name}: a secret in the environment"
            if any("secretRef" in source for source in container.get("envFrom", [])):
                yield f"{name}: a secret in the environment"
            secrets = [volume for volume in pod.get("volumes", []) if "secret" in volume]
            if not secrets:
                yield f"{name}: no secret"
            for volume in secrets:
                if volume["secret"].get("defaultMode") != SECRET_MODE:
                    yield f"{name}: the secret's mode is not {SECRET_MODE:o}"
            if pod.get("securityContext", {}).get("fsGroup") != NONROOT:
                yield f"{name}: the secret's group is not the pod's"
        if self.of_kind("Secret"):
            yield "a Secret in the examples"

    def rule_named_files_are_mounted(self):
        maps = {document["metadata"]["name"]: document["data"] for document in self.of_kind("ConfigMap")}
        for name, pod, container in self.containers():
            files = set()
            volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
            for mount in container.get("volumeMounts", []):
                volume = volumes.get(mount["name"], {})
                if "secret" in volume:
                    names = [item["path"] for item in volume["secret"].get("items", [])]
                else:
                    names = maps.get(volume.get("configMap", {}).get("name"), {})
                files |= {f"{mount['mountPath']}/{file}" for file in names}
                if mount.get("readOnly") is not True:
                    yield f"{name}: {mount['name']} can be written to"
            for variable, value in environment(container).items():
                if variable in ("DATABASE_URL_FILE", "KALSHI_WATCHLIST") and value not in files:
                    yield f"{name}: {variable} names {value}, which is not mounted"

    def rule_commands_and_variables_are_known(self):
        for name, _, container in self.containers():
            args = container.get("args", [])
            if container.get("command") or args not in (["run"], ["serve"]):
                yield f"{name}: unknown command"
            known = self.serve_help if args == ["serve"] else self.run_help
            for variable in environment(container):
                if not re.search(rf"\b{variable}\b", known):
                    yield f"{name}: the program does not know {variable}"

    def rule_cron_jobs_are_on_time(self):
        for document in self.of_kind("CronJob"):
            name, spec = document["metadata"]["name"], document["spec"]
            job = spec["jobTemplate"]["spec"]
            if len(name) > CRONJOB_NAME_MAX:
                yield f"{name}: the name is too long"
            if not is_every_minute(spec["schedule"]) or spec.get("timeZone") != "Etc/UTC":
                yield f"{name}: not every minute"
            if spec.get("concurrencyPolicy") != "Forbid":
                yield f"{name}: passes overlap"
            if not 10 <= spec.get("startingDeadlineSeconds", 0) < 60:
                yield f"{name}: the starting deadline is not between 10 s and a minute"
            deadline = environment(job["template"]["spec"]["containers"][0]).get("KALSHI_DEADLINE", "50s")
            if not seconds(deadline) + 10 <= job.get("activeDeadlineSeconds", 0) < 60:
                yield f"{name}: the Job ends before the pass, or after the minute"
            if "activeDeadlineSeconds" in job["template"]["spec"]:
                yield f"{name}: a deadline of the pod does not end the Job"
            if job.get("ttlSecondsAfterFinished", 0) < 600:
                yield f"{name}: failed Jobs vanish before anybody reads their log"
            if not spec.get("failedJobsHistoryLimit") or not spec.get("successfulJobsHistoryLimit"):
                yield f"{name}: no history"

    def rule_failures_are_told_apart(self):
        for document in self.of_kind("CronJob"):
            name, job = document["metadata"]["name"], document["spec"]["jobTemplate"]["spec"]
            pod = job["template"]["spec"]
            if pod.get("restartPolicy") != "Never":
                yield f"{name}: a pod failure policy needs restartPolicy Never"
            rules = job.get("podFailurePolicy", {}).get("rules", [])
            ignored = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
            if ignored not in rules:
                yield f"{name}: a drained node counts as a failure"
            for rule in rules:
                on_exit = rule.get("onExitCodes")
                if not on_exit:
                    continue
                if on_exit.get("containerName") not in {container["name"] for container in pod["containers"]}:
                    yield f"{name}: no such container"
                if on_exit["operator"] != "In" or 0 in on_exit["values"]:
                    yield f"{name}: success is no failure"
                if not self.statuses.issuperset(on_exit["values"]):
                    yield f"{name}: unknown exit statuses"
            if 3 not in [status for rule in rules for status in rule.get("onExitCodes", {}).get("values", [])]:
                yield f"{name}: a breach is not named"
            yield from self.retries(name, job, {rule["action"] for rule in rules})

    def retries(self, name, job, actions):
        """The next minute is the retry; a shard's failure leaves the other shards alone."""
        if job.get("completionMode") != "Indexed":
            if job.get("backoffLimit") != 0:
                yield f"{name}: retries eat the schedule"
            return
        if job.get("backoffLimitPerIndex") != 0:
            yield f"{name}: retries eat the schedule"
        if "backoffLimit" in job or "FailJob" in actions:
            yield f"{name}: one shard ends the others"
        shards = environment(job["template"]["spec"]["containers"][0]).get("KALSHI_SHARD")
        if not job.get("completions") == job.get("parallelism") or shards != f"/{job.get('completions')}":
            yield f"{name}: completions, parallelism and KALSHI_SHARD differ"

    def rule_selectors_select(self):
        labels = [labels for _, _, labels in self.pods()]
        for document in self.of_kind("Deployment"):
            wanted = document["spec"]["selector"]["matchLabels"]
            if not wanted.items() <= document["spec"]["template"]["metadata"]["labels"].items():
                yield "the Deployment does not select its pods"
            if sum(wanted.items() <= each.items() for each in labels) != 1:
                yield "the Deployment selects pods of others"
        for document in self.of_kind("Service"):
            if sum(document["spec"]["selector"].items() <= each.items() for each in labels) != 1:
                yield "the Service selects no pods, or too many"
        services = self.of_kind("Service")
        for document in self.of_kind("ServiceMonitor"):
            wanted = document["spec"]["selector"]["matchLabels"].items()
            chosen = [service for service in services if wanted <= service["metadata"]["labels"].items()]
            ports = {port["name"] for service in chosen for port in service["spec"]["ports"]}
            for endpoint in document["spec"]["endpoints"]:
                if endpoint["port"] not in ports or endpoint["path"] != "/metrics":
                    yield "the ServiceMonitor scrapes nothing"
                if seconds(endpoint["scrapeTimeout"]) > seconds(endpoint["interval"]):
                    yield "a scrape takes longer than its interval"

    def rule_ports_match(self):
        for document in self.of_kind("Deployment"):
            (container,) = document["spec"]["template"]["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            listen = environment(container).get("KALSHI_LISTEN", "127.0.0.1:8080")
            host, _, port = listen.partition(":")
            if host != "0.0.0.0" or int(port) not in ports.values():
                yield "nobody reaches what listens"
            probes = {"livenessProbe": "/livez", "readinessProbe": "/readyz"}
            for name, path in probes.items():
                probe = container.get(name, {}).get("httpGet", {})
                if probe.get("path") != path or probe.get("port") not in ports:
                    yield f"{name} is not {path}"
            for service in self.of_kind("Service"):
                if not {port["targetPort"] for port in service["spec"]["ports"]} <= ports.keys():
                    yield "the Service's port is not the container's"


# What is broken, how, and a word of the complaint that it has to bring: a path of keys, and the value to put there.
CRONJOB, DEPLOYMENT, SERVICE, MONITOR = "CronJob", "Deployment", "Service", "ServiceMonitor"
JOB = ("spec", "jobTemplate", "spec")
POD = (*JOB, "template", "spec")
CONTAINER = (*POD, "containers", 0)
SERVE = ("spec", "template", "spec", "containers", 0)
ABSENT = object()
BREAKAGES = [
    (CRONJOB, (*POD, "restartPolicy"), "OnFailure", "restartPolicy Never"),
    (CRONJOB, (*POD, "automountServiceAccountToken"), ABSENT, "token"),
    (CRONJOB, (*POD, "enableServiceLinks"), True, "foreign services"),
    (CRONJOB, (*POD, "securityContext", "runAsUser"), 0, "may be root"),
    (CRONJOB, (*POD, "securityContext", "seccompProfile"), ABSENT, "seccomp"),
    (CRONJOB, (*POD, "securityContext", "fsGroup"), ABSENT, "group is not the pod's"),
    (CRONJOB, (*POD, "hostNetwork"), True, "host's namespaces"),
    (CRONJOB, (*POD, "terminationGracePeriodSeconds"), 5, "no time to end"),
    (CRONJOB, (*POD, "activeDeadlineSeconds"), 50, "deadline of the pod"),
    (CRONJOB, (*POD, "volumes", 0, "secret", "defaultMode"), 0o644, "mode is not 440"),
    (CRONJOB, (*POD, "volumes", 0, "secret", "items", 0, "path"), "url", "is not mounted"),
    (CRONJOB, (*POD, "volumes", 1, "configMap", "name"), "other", "is not mounted"),
    (CRONJOB, (*CONTAINER, "volumeMounts", 0, "readOnly"), ABSENT, "can be written to"),
    (CRONJOB, (*CONTAINER, "image"), "kalshi-ingest:latest", "not of version"),
    (CRONJOB, (*CONTAINER, "image"), "kalshi-ingest", "not of version"),
    (CRONJOB, (*CONTAINER, "args"), ["runn"], "unknown command"),
    (CRONJOB, (*CONTAINER, "env", 1, "name"), "KALSHI_WATCH_LIST", "does not know"),
    (CRONJOB, (*CONTAINER, "env", 0), {"name": "DATABASE_URL", "value": "postgres://"}, "secret in the environment"),
    (CRONJOB, (*CONTAINER, "envFrom"), [{"secretRef": {"name": "x"}}], "secret in the environment"),
    (CRONJOB, (*CONTAINER, "resources", "limits"), ABSENT, "no resources"),
    (CRONJOB, (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), False, "write to its image"),
    (CRONJOB, (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), ABSENT, "may become more"),
    (CRONJOB, (*CONTAINER, "securityContext", "capabilities"), {"add": ["NET_RAW"]}, "capabilities"),
    (CRONJOB, ("metadata", "name"), "k" * 53, "name is too long"),
    (CRONJOB, ("spec", "schedule"), "61 * * * *", "not every minute"),
    (CRONJOB, ("spec", "schedule"), "* * * *", "not every minute"),
    (CRONJOB, ("spec", "concurrencyPolicy"), "Allow", "overlap"),
    (CRONJOB, ("spec", "startingDeadlineSeconds"), 5, "starting deadline"),
    (CRONJOB, ("spec", "startingDeadlineSeconds"), ABSENT, "starting deadline"),
    (CRONJOB, ("spec", "failedJobsHistoryLimit"), 0, "no history"),
    (CRONJOB, (*JOB, "activeDeadlineSeconds"), 45, "before the pass"),
    (CRONJOB, (*JOB, "activeDeadlineSeconds"), 60, "after the minute"),
    (CRONJOB, (*JOB, "ttlSecondsAfterFinished"), 10, "vanish"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 0), ABSENT, "drained node"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 1, "onExitCodes", "values"), [3, 7], "unknown exit statuses"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 1, "onExitCodes", "values"), [2], "breach is not named"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 1, "onExitCodes", "operator"), "NotIn", "success is no failure"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 1, "onExitCodes", "containerName"), "main", "no such container"),
    (CRONJOB, (*JOB, "podFailurePolicy", "rules", 1, "action"), "FailJob", "ends the others"),
    (CRONJOB, (*JOB, "backoffLimit"), 0, "ends the others"),
    (CRONJOB, (*JOB, "backoffLimitPerIndex"), 1, "eat the schedule"),
    (CRONJOB, (*JOB, "completionMode"), ABSENT, "eat the schedule"),
    (CRONJOB, (*JOB, "completions"), 5, "completions, parallelism"),
    (CRONJOB, (*JOB, "parallelism"), 2, "completions, parallelism"),
    (DEPLOYMENT, ("spec", "template", "metadata", "labels"), {"app": "x"}, "does not select its pods"),
    (DEPLOYMENT, ("spec", "selector", "matchLabels"), {"app.kubernetes.io/name": "kalshi-ingest"}, "pods of others"),
    (DEPLOYMENT, (*SERVE, "env", 1, "value"), "127.0.0.1:8080", "nobody reaches"),
    (DEPLOYMENT, (*SERVE, "ports", 0, "containerPort"), 8081, "nobody reaches"),
    (DEPLOYMENT, (*SERVE, "ports", 0, "name"), "web", "port is not the container's"),
    (DEPLOYMENT, (*SERVE, "livenessProbe", "httpGet", "path"), "/health", "is not /livez"),
    (DEPLOYMENT, (*SERVE, "readinessProbe"), ABSENT, "is not /readyz"),
    (SERVICE, ("spec", "selector"), {"app": "x"}, "selects no pods"),
    (SERVICE, ("spec", "selector"), {"app.kubernetes.io/name": "kalshi-ingest"}, "too many"),
    (SERVICE, ("metadata", "labels"), {"app": "x"}, "scrapes nothing"),
    (MONITOR, ("spec", "endpoints", 0, "port"), "metrics", "scrapes nothing"),
    (MONITOR, ("spec", "endpoints", 0, "path"), "/", "scrapes nothing"),
    (MONITOR, ("spec", "endpoints", 0, "scrapeTimeout"), "1m", "longer than its interval"),
]


def broken(documents, kind, path, value):
    """A copy of the documents in which one thing is different."""
    documents = copy.deepcopy(documents)
    (place,) = [document for document in documents if document["kind"] == kind]
    for key in path[:-1]:
        place = place[key]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return documents


class KubernetesTest(unittest.TestCase):
    """The base alone, with each component, and the overlay to copy."""

    @classmethod
    def setUpClass(cls):
        place = pathlib.Path(tempfile.mkdtemp(prefix="kubernetes-test-"))
        cls.addClassCleanup(shutil.rmtree, place)
        shutil.copytree(EXAMPLES, place / "all")
        for component in "sharded", "monitoring":
            overlay = place / f"all/only-{component}"
            overlay.mkdir()
            lines = "resources: [../base]", f"components: [../{component}]"
            (overlay / "kustomization.yaml").write_text("\n".join(lines) + "\n")
        names = "base", "only-sharded", "only-monitoring", "production"
        cls.texts = {name: built(place / "all" / name) for name in names}
        cls.documents = {name: list(yaml.safe_load_all(text)) for name, text in cls.texts.items()}

    def test_the_schemas_take_every_document(self):
        for name, text in self.texts.items():
            for version in VERSIONS:
                with self.subTest(name=name, version=version):
                    done = subprocess.run(
                        ["kubernetes-validate", "--strict", "-k", version, "-"],
                        input=text, capture_output=True, text=True, timeout=60, check=False,
                    )
                    said = (done.stdout + done.stderr).splitlines()
                    native = [each for each in self.documents[name] if "monitoring.coreos.com" not in each["apiVersion"]]
                    foreign = len(self.documents[name]) - len(native)
                    self.assertEqual(sum(" passed for resource " in line for line in said), len(native), said)
                    self.assertEqual(sum("Couldn't find schema for kind ServiceMonitor" in line for line in said), foreign)
                    self.assertEqual(len(said), len(self.documents[name]), said)

    def test_the_schemas_notice_a_misspelt_field(self):
        text = self.texts["base"].replace("concurrencyPolicy:", "concurencyPolicy:")
        command = ["kubernetes-validate", "--strict", "-k", VERSIONS[0], "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("concurencyPolicy", done.stdout + done.stderr)

    def test_what_is_there(self):
        kinds = {name: sorted(document["kind"] for document in documents) for name, documents in self.documents.items()}
        base = ["ConfigMap", "CronJob", "Deployment", "Service"]
        self.assertEqual(kinds["base"], base)
        self.assertEqual(kinds["only-sharded"], base)
        self.assertEqual(kinds["only-monitoring"], [*base, "ServiceMonitor"])
        self.assertEqual(kinds["production"], [*base, "ServiceMonitor"])

    def test_the_rules_have_no_complaint(self):
        for name, documents in self.documents.items():
            self.assertEqual(Rules(documents).complaints(), [], name)

    def test_every_rule_can_complain(self):
        documents = self.documents["production"]
        rules = Rules(documents)
        for kind, path, value, word in BREAKAGES:
            with self.subTest(kind=kind, path=path, value=value):
                rules.documents = broken(documents, kind, path, value)
                complaints = rules.complaints()
                self.assertTrue(any(word in complaint for complaint in complaints), complaints)
        rules.documents = broken(self.documents["base"], CRONJOB, (*JOB, "backoffLimit"), 6)
        self.assertIn("kalshi-ingest: retries eat the schedule", rules.complaints())

    def test_the_base_is_of_no_namespace_and_the_overlay_of_one(self):
        for name, documents in self.documents.items():
            namespaces = {document["metadata"].get("namespace") for document in documents}
            self.assertEqual(namespaces, {"kalshi"} if name == "production" else {None})

    def test_the_watchlists_are_read(self):
        for name, documents in self.documents.items():
            (text,) = [document["data"]["watchlist.toml"] for document in documents if document["kind"] == "ConfigMap"]
            with tempfile.TemporaryDirectory() as place, self.subTest(name=name):
                watchlist = pathlib.Path(place) / "watchlist.toml"
                watchlist.write_text(text)
                database = f"sqlite:{place}/kalshi.db"
                base_url, _ = support.simulator(self, *self.tickers(text))
                support.ingest("run", "--watchlist", watchlist, check=0, DATABASE_URL=database, KALSHI_BASE_URL=base_url)

    @staticmethod
    def tickers(watchlist):
        """Flags of the simulator for one market of each series."""
        series = re.findall(r'^series = "(.*)"$', watchlist, re.MULTILINE)
        return [word for name in series for word in ("--ticker", f"{name}-26NOV22-T1")]


if __name__ == "__main__":
    unittest.main()
