"""The Dockerfile: lint, and everything of a build that can be known without an engine."""

import fnmatch
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import support

DOCKERFILE = support.ROOT / "Dockerfile"
# Which Debian the last image is made of, by the name that the first one's tag has.
RELEASES = {"bookworm": "debian12", "trixie": "debian13"}
# What the distroless image "cc" has of the libraries that a program can need.
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def instructions():
    """The instructions as (word, rest), continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def copied():
    """Sources and destination of every COPY from the context."""
    found = []
    for word, rest in instructions():
        parts = shlex.split(rest)
        if word == "COPY" and not any(part.startswith("--from") for part in parts):
            found.append(([part for part in parts[:-1] if not part.startswith("--")], parts[-1]))
    return found


def is_ignored(path):
    """Whether .dockerignore keeps a path out: the last pattern that fits it, or a folder above it, decides."""
    ignored = False
    names = [path, *(str(parent) for parent in pathlib.PurePath(path).parents if str(parent) != ".")]
    for line in (support.ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            if any(fnmatch.fnmatchcase(name, pattern.lstrip("!")) for name in names):
                ignored = not pattern.startswith("!")
    return ignored


class DockerTest(unittest.TestCase):
    """Lint, context, and what the image lacks."""

    def only(self, word):
        """What follows the only, or last, instruction of this word."""
        return [rest for each, rest in instructions() if each == word][-1]

    def test_lint(self):
        done = subprocess.run(["hadolint", str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_what_is_copied_exists_and_is_in_the_context(self):
        sources = [source for each, _ in copied() for source in each]
        for source in sources:
            self.assertTrue((support.ROOT / source).exists(), source)
            self.assertFalse(is_ignored(source), source)
        allowed = {path.name for path in support.ROOT.iterdir() if not is_ignored(path.name)}
        self.assertEqual(allowed, set(sources), "the context is what is copied")
        self.assertTrue(is_ignored("target/debug/kalshi-ingest"))
        self.assertTrue(is_ignored(".git/config"))

    def test_the_manifest_finds_its_parts_in_the_context(self):
        with tempfile.TemporaryDirectory() as place:
            for sources, destination in copied():
                for source in sources:
                    target = pathlib.Path(place) / destination / ("" if destination != "./" else source)
                    if (support.ROOT / source).is_dir():
                        shutil.copytree(support.ROOT / source, target)
                    else:
                        shutil.copy(support.ROOT / source, target)
            # Cargo reads everything before it finds that there is no such program: that is as far as we want it to get.
            command = ["cargo", "build", "--locked", "--offline", "--bin", "nothing", "--target-dir", f"{place}/target"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
            self.assertIn("no bin target named `nothing`", done.stderr)
            self.assertIn("kalshi-ingest", done.stderr)

    def test_the_sources_include_only_what_is_in_the_context(self):
        found = set()
        for path in (support.ROOT / "src").rglob("*.rs"):
            text = path.read_text()
            # A macro is relative to where it is called, so only what comes after the way up counts.
            found |= {name.replace("../", "") for name in re.findall(r'include_(?:str|bytes)!\(\s*(?:concat!\(\s*)?"(\.\./[^"]+)"', text)}
            # Statements are named by the file of their table.
            found |= {f"sql/{dialect}/{table}.sql" for dialect, table in re.findall(r'sql!\("(\w+)", "(\w+)"', text)}
            tables = re.findall(r'statement!\(\s*"(\w+)"', text)
            found |= {f"sql/{dialect}/{table}.sql" for dialect in ("postgres", "sqlite") for table in tables}
        self.assertGreater(len(found), 20)
        for name in found:
            self.assertFalse(is_ignored(name.rstrip("/")), name)

    def test_the_build_is_locked_and_new_enough(self):
        run = self.only("RUN")
        self.assertIn("cargo build --locked --release --features parquet --bin kalshi-ingest", run)
        tag = [rest for word, rest in instructions() if word == "FROM"][0]
        version = re.match(r"rust:(\d+)\.(\d+)\.(\d+)-", tag).groups()
        wanted = re.search(r'^rust-version = "(\d+)\.(\d+)"$', (support.ROOT / "Cargo.toml").read_text(), re.MULTILINE)
        self.assertGreaterEqual([int(part) for part in version[:2]], [int(part) for part in wanted.groups()])

    def test_both_images_are_of_one_debian(self):
        first, last = [rest for word, rest in instructions() if word == "FROM"]
        release = next(name for name in RELEASES if name in first)
        self.assertIn(f"-{RELEASES[release]}:", last)
        for image in first, last:
            self.assertNotIn("latest", image)
        self.assertIn(f'image.base.name="{last}"', self.only("LABEL"))

    def test_the_image_has_every_library_that_the_program_needs(self):
        self.assertIn("/distroless/cc-", self.only("FROM"), "the list of libraries is of this image")
        done = subprocess.run(["ldd", str(support.INGEST)], capture_output=True, text=True, timeout=60, check=True)
        needed = {pathlib.PurePath(line.split()[0]).name for line in done.stdout.splitlines()}
        self.assertLessEqual(needed - {"linux-vdso.so.1"}, LIBRARIES)

    def test_it_runs_as_nobody_in_particular(self):
        self.assertEqual(self.only("USER"), "65532:65532")
        self.assertEqual(self.only("ENTRYPOINT"), '["/usr/local/bin/kalshi-ingest"]')
        version = re.search(r'^version = "(.*)"$', (support.ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        self.assertIn(f'image.version="{version}"', self.only("LABEL"))


if __name__ == "__main__":
    unittest.main()
