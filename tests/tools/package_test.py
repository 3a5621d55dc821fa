"""The Debian package and the release workflow: everything that can be known without building them; tests/package does that."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

import support
import yaml

DEBIAN = support.ROOT / "examples/debian"
WORKFLOW = support.ROOT / ".github/workflows/release.yml"
MANIFEST = tomllib.loads((support.ROOT / "Cargo.toml").read_text())
PACKAGE = MANIFEST["package"]["metadata"]["deb"]
VERSION = MANIFEST["package"]["version"]
# What cargo-deb finds by itself in the folder of the units.
FOUND = {"kalshi-ingest.service", "kalshi-ingest.timer", "kalshi-ingest.sysusers"}


def run(*command, check=True, **options):
    """One command to its end, as text."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=120, **options)


class PackageTest(unittest.TestCase):
    """The manifest, and what is made for it from the program."""

    @classmethod
    def setUpClass(cls):
        cls.made = pathlib.Path(tempfile.mkdtemp(prefix="package-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        run(DEBIAN / "assets", support.INGEST, cls.made, env={**support.clean_environment(), "SOURCE_DATE_EPOCH": "1800000000"})

    def test_every_source_exists_or_is_made(self):
        made = set()
        for source, destination, mode in PACKAGE["assets"]:
            if source == "target/release/kalshi-ingest":
                continue
            folder, pattern = support.ROOT, source
            if source.startswith("target/package/assets/"):
                folder, pattern = self.made, source.removeprefix("target/package/assets/")
            files = {path for path in folder.glob(pattern) if path.is_file()}
            self.assertTrue(files, source)
            self.assertTrue(destination.endswith("/") or len(files) == 1, source)
            self.assertEqual(mode, "600" if source.endswith("database-url") else "644", source)
            made |= {path for path in files if folder == self.made}
        # The program's changelog is named apart; the plain text of the licenses is for the archive.
        made |= {self.made / "changelog.Debian", self.made / "third-party.txt"}
        self.assertEqual(PACKAGE["changelog"], "target/package/assets/changelog.Debian")
        self.assertEqual(made, {path for path in self.made.rglob("*") if path.is_file()}, "all that is made is packed")

    def shipped(self):
        """Each file of the package's documents: its place below the folder of documents, and its source."""
        top, places = "usr/share/doc/kalshi-ingest/", {}
        for source, destination, _ in PACKAGE["assets"]:
            if not destination.startswith(top):
                continue
            folder, pattern = support.ROOT, source
            if source.startswith("target/package/assets/"):
                folder, pattern = self.made, source.removeprefix("target/package/assets/")
            # A pattern over folders keeps them.
            base = folder / pattern.partition("**")[0] if "**" in pattern else None
            for path in filter(pathlib.Path.is_file, folder.glob(pattern)):
                name = path.relative_to(base).as_posix() if base else path.name
                place = destination.removeprefix(top)
                places[place + name if place.endswith("/") or not place else place] = path
        return places

    def test_every_link_of_a_packed_document_leads_to_a_packed_file(self):
        places = self.shipped()
        pages = {place: path for place, path in places.items() if place.endswith(".md")}
        self.assertLessEqual({"README.md", "docs/reference.md", "docs/decisions/README.md"}, set(pages))
        looked = 0
        for place, path in pages.items():
            for link in re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", path.read_text()):
                if "://" not in link:
                    looked += 1
                    self.assertIn(os.path.normpath(os.path.join(os.path.dirname(place), link)), places, f"{place}: {link}")
        self.assertGreater(looked, 80)

    def test_files_are_where_debian_has_them(self):
        places = {source.removeprefix("target/package/assets/"): place for source, place, _ in PACKAGE["assets"]}
        wanted = {
            "man/*.1": "usr/share/man/man1/",
            "completions/kalshi-ingest": "usr/share/bash-completion/completions/",
            "completions/_kalshi-ingest": "usr/share/zsh/vendor-completions/",
            "completions/kalshi-ingest.fish": "usr/share/fish/vendor_completions.d/",
            "examples/debian/environment": "etc/kalshi-ingest/",
            "examples/debian/database-url": "etc/kalshi-ingest/",
            "examples/debian/copyright": "usr/share/doc/kalshi-ingest/copyright",
        }
        self.assertEqual({source: places.get(source) for source in wanted}, wanted)
        self.assertEqual(PACKAGE["assets"][0], ["target/release/kalshi-ingest", "usr/bin/", "755"])

    def test_every_unit_is_packed_and_none_started(self):
        units = PACKAGE["systemd-units"]
        self.assertEqual((units["enable"], units["start"], units["unit-scripts"]), (False, False, "examples/systemd"))
        named = {pathlib.PurePath(source).name for source, place, _ in PACKAGE["assets"] if place == "usr/lib/systemd/system/"}
        self.assertFalse(named & FOUND, "these are found by their names")
        files = {path.name for path in (support.ROOT / "examples/systemd").iterdir()} - {"README.md"}
        self.assertEqual(named | FOUND, files)
        # A package puts the program elsewhere than a user does: a name without a path suits both.
        for unit in (support.ROOT / "examples/systemd").glob("*.service"):
            self.assertNotRegex(unit.read_text(), r"\nExecStart=\W*/", unit)

    def test_the_pages_are_clean_and_one_of_each_command(self):
        commands = re.findall(r"^  ([a-z]+) ", support.ingest("help", check=0).stdout.split("\nOptions:")[0], re.MULTILINE)
        self.assertGreater(len(commands), 10)
        pages = sorted((self.made / "man").iterdir())
        wanted = {"kalshi-ingest.1", *(f"kalshi-ingest-{command}.1" for command in commands)}
        self.assertEqual({page.name for page in pages}, wanted)
        for page in pages:
            done = run("man", "--warnings", "--encoding=utf8", "--local-file", page, env={**os.environ, "LC_ALL": "C.UTF-8"})
            self.assertEqual(done.stderr, "", page.name)
            self.assertIn("SYNOPSIS", done.stdout, page.name)

    def test_the_changelogs_know_the_version(self):
        changelog = (self.made / "changelog.Debian").read_text()
        self.assertTrue(changelog.startswith(f"kalshi-ingest ({VERSION.replace('-', '~', 1)}-1) "), changelog)
        self.assertIn(f"\n -- {PACKAGE['maintainer']}  Fri, 15 Jan 2027 08:00:00 +0000\n", changelog)
        self.assertIn(f"\n## [{VERSION}] - ", (support.ROOT / "CHANGELOG.md").read_text())

    def test_every_library_has_a_license(self):
        text = (self.made / "third-party.txt").read_text()
        head, *rest = text.split("\n" + "=" * 80 + "\n")
        libraries = re.findall(r"^  (\S+ \S+): (.+)$", head, re.MULTILINE)
        self.assertGreater(len(libraries), 50)
        self.assertNotIn("see below", [license for _, license in libraries])
        self.assertIn("Permission is hereby granted", "".join(rest))
        names = {label.split()[0] for label, _ in libraries}
        self.assertLessEqual({"postgres", "rusqlite", "ureq", "ring"}, names)
        self.assertFalse(names & {"tempfile", "proptest", "cc"}, "tests and build scripts are not in the program")

    def test_the_settings_are_comments_and_the_programs_own(self):
        known = "".join(support.ingest(command, "--help", check=0).stdout for command in ("run", "serve"))
        lines = [line for line in (DEBIAN / "environment").read_text().splitlines() if line]
        settings = [line[1:] for line in lines if re.match(r"#[A-Z_]+=", line)]
        self.assertGreater(len(settings), 5)
        for setting in settings:
            self.assertRegex(known, rf"\[env: {setting.partition('=')[0]}[=\]]")
        self.assertEqual([line for line in lines if not line.startswith("#")], [])

    def test_the_url_is_what_the_state_directory_is_for(self):
        service = (support.ROOT / "examples/systemd/kalshi-ingest.service").read_text()
        self.assertIn("\nStateDirectory=kalshi-ingest\n", service)
        self.assertIn("\nLoadCredential=database-url:/etc/kalshi-ingest/database-url\n", service)
        self.assertEqual((DEBIAN / "database-url").read_text(), "sqlite:/var/lib/kalshi-ingest/kalshi.db\n")

    def test_the_crontab_calls_the_packages_program(self):
        text = (self.made / "crontab.example").read_text()
        self.assertIn(" /usr/bin/kalshi-ingest run ", text)
        self.assertNotIn("/usr/local", text)

    def test_scripts_are_clean(self):
        scripts = [*(DEBIAN / name for name in ("assets", "build", "release-notes")), support.ROOT / "docs/book"]
        done = run("shellcheck", *scripts, support.ROOT / "tests/package", check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


class ReleaseNotesTest(unittest.TestCase):
    """examples/debian/release-notes, on a changelog of its own."""

    def notes(self, tag, changelog):
        """The status and all output for a tag, where this is the changelog."""
        with tempfile.TemporaryDirectory() as place:
            scripts = pathlib.Path(place) / "examples/debian"
            scripts.mkdir(parents=True)
            shutil.copy(DEBIAN / "release-notes", scripts)
            shutil.copy(support.ROOT / "Cargo.toml", place)
            (pathlib.Path(place) / "CHANGELOG.md").write_text(changelog)
            done = run(scripts / "release-notes", tag, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_the_section_of_the_tag(self):
        changelog = f"# Changelog\n\n## [{VERSION}] - 2026-12-01\n\n### Added\n\n- This.\n\n## [0.0.1] - 2026-01-01\n\n- That.\n"
        status, text = self.notes(f"v{VERSION}", changelog)
        self.assertEqual((status, text.strip()), (0, "### Added\n\n- This."))

    def test_what_must_not_be_released(self):
        released = f"## [{VERSION}] - 2026-12-01\n\n- This.\n"
        cases = ("v99.0.0", released), (VERSION, released), (f"v{VERSION}", f"## [{VERSION}] - unreleased\n"), (f"v{VERSION}", "")
        for tag, changelog in cases:
            status, text = self.notes(tag, changelog)
            self.assertEqual(status, 1, (tag, changelog, text))
            self.assertRegex(text, "the tag is|has no section")


class WorkflowTest(unittest.TestCase):
    """The release workflow as a file: nothing here can run it."""

    def setUp(self):
        self.text = WORKFLOW.read_text()
        self.workflow = yaml.safe_load(self.text)
        self.jobs = self.workflow["jobs"]
        self.steps = [step for job in self.jobs.values() for step in job["steps"]]

    def test_it_begins_with_a_tag_and_nothing_else(self):
        # YAML 1.1 reads the word as a truth value.
        self.assertEqual(self.workflow[True], {"push": {"tags": ["v*"]}})
        self.assertFalse(self.workflow["concurrency"]["cancel-in-progress"])

    def test_rights_are_the_least(self):
        self.assertEqual(self.workflow["permissions"], {})
        read = {"contents": "read"}
        wanted = {
            "check": read,
            "package": read,
            "image": {**read, "packages": "write"},
            "publish": {"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"},
        }
        self.assertEqual({name: job["permissions"] for name, job in self.jobs.items()}, wanted)
        self.assertNotIn("secrets.", self.text)

    def test_actions_are_pinned_and_keep_no_credentials(self):
        uses = re.findall(r"^ *- uses: (.*)$", self.text, re.MULTILINE)
        self.assertEqual(len(uses), sum("uses" in step for step in self.steps))
        for line in uses:
            self.assertRegex(line, r"^actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
        self.assertEqual(len({line.split("@")[0] for line in uses}), len(set(uses)), "one version of each action")
        for step in self.steps:
            if step.get("uses", "").startswith("actions/checkout@"):
                self.assertEqual(step["with"], {"persist-credentials": False})

    def test_jobs_end_and_wait_for_the_check(self):
        for name, job in self.jobs.items():
            self.assertLessEqual(job["timeout-minutes"], 60, name)
        self.assertEqual({name: job.get("needs") for name, job in self.jobs.items()},
                         {"check": None, "package": "check", "image": "check", "publish": ["package", "image"]})
        self.assertIn('release-notes "$GITHUB_REF_NAME"', self.jobs["check"]["steps"][1]["run"])

    def test_both_architectures_are_built_with_the_dockerfiles_toolchain(self):
        for name in "package", "image":
            self.assertEqual(self.jobs[name]["strategy"]["matrix"]["runner"], ["ubuntu-24.04", "ubuntu-24.04-arm"])
        first = re.search(r"^FROM rust:([\d.]+)-slim-(\w+) ", (support.ROOT / "Dockerfile").read_text(), re.MULTILINE)
        self.assertEqual(self.jobs["package"]["container"]["image"], f"rust:{first[1]}-{first[2]}")

    def test_scripts_are_clean_and_take_nothing_from_outside(self):
        for step in self.steps:
            if "run" not in step:
                continue
            # A name or a tag that the runner pastes into a script would be run.
            self.assertNotIn("${{", step["run"])
            with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
                script.write("#!/bin/bash\nset -eo pipefail\n" + step["run"])
                script.flush()
                done = run("shellcheck", script.name, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""), step["run"])
            for name in re.findall(r"(?:^|\s)((?:\.ci|tests|examples)/\S+)", step["run"]):
                path = support.ROOT / name
                self.assertTrue(path.is_file() and os.access(path, os.X_OK), name)

    def test_what_is_uploaded_is_what_the_build_makes(self):
        (upload,) = (step for step in self.steps if step.get("uses", "").startswith("actions/upload-artifact@"))
        self.assertEqual(upload["with"]["path"], "target/package/release/*")
        self.assertIn("made=target/package ", (DEBIAN / "build").read_text())


if __name__ == "__main__":
    unittest.main()
