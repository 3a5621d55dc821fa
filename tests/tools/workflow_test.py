"""The workflow of a push as a file: nothing here can run it, so each of its steps is a command of the repository."""

import os
import re
import unittest

import yaml

import support

WORKFLOW = support.ROOT / ".github/workflows/ci.yml"


class PushTest(unittest.TestCase):
    def setUp(self):
        self.text = WORKFLOW.read_text()
        self.workflow = yaml.safe_load(self.text)
        self.steps = [step for job in self.workflow["jobs"].values() for step in job["steps"]]

    def test_it_begins_with_a_push_and_a_pull_request(self):
        # YAML 1.1 reads the word as a truth value.
        self.assertEqual(self.workflow[True], {"push": {"branches": ["main"]}, "pull_request": None})

    def test_rights_are_the_least_and_jobs_end(self):
        self.assertEqual(self.workflow["permissions"], {})
        for name, job in self.workflow["jobs"].items():
            self.assertEqual(job["permissions"], {"contents": "read"}, name)
            self.assertLessEqual(job["timeout-minutes"], 45, name)
        self.assertNotIn("secrets.", self.text)

    def test_actions_are_those_of_the_release(self):
        uses = set(re.findall(r"^ *- uses: (.*)$", self.text, re.MULTILINE))
        release = (support.ROOT / ".github/workflows/release.yml").read_text()
        self.assertTrue(uses)
        for line in uses:
            self.assertIn(f"uses: {line}\n", release)

    def test_each_step_is_a_command_of_the_repository(self):
        commands = [step["run"] for step in self.steps if "run" in step]
        self.assertIn(".ci/run", commands)
        quickstart = [command for command in commands if not os.access(support.ROOT / command, os.X_OK)]
        self.assertEqual(quickstart, ["cargo run --locked --example quickstart"])


if __name__ == "__main__":
    unittest.main()
