import { assert, it } from "@effect/vitest"
import { normalise } from "../src/internal/cli/argv.ts"

it.each([
  [
    ["list", "-ojson"],
    ["list", "-o", "json"]
  ],
  [
    ["list", "-nteam-a", "-owide"],
    ["list", "-n", "team-a", "-o", "wide"]
  ],
  [
    ["list", "-o=json"],
    ["list", "-o=json"]
  ],
  [
    ["list", "-o", "json"],
    ["list", "-o", "json"]
  ],
  [
    ["list", "--since", "-1h"],
    ["list", "--since=-1h"]
  ],
  [
    ["list", "--since", "-n", "a"],
    ["list", "--since", "-n", "a"]
  ],
  [
    ["wait", "--timeout", "-1s"],
    ["wait", "--timeout=-1s"]
  ],
  [
    ["list", "--grep", "-> gone", "--exclude", "-5"],
    ["list", "--grep=-> gone", "--exclude=-5"]
  ],
  [
    ["list", "--grep", "-A", "--exclude", "-ojson", "--grep", "--type", "Normal"],
    ["list", "--grep", "-A", "--exclude", "-o", "json", "--grep", "--type", "Normal"]
  ],
  [
    ["list", "--since"],
    ["list", "--since"]
  ],
  [
    ["list", "--", "-ojson"],
    ["list", "--", "-ojson"]
  ],
  [["-h"], ["-h"]],
  [
    ["help", "template", "check"],
    ["template", "check", "--help"]
  ],
  [["help"], ["--help"]],
  [
    ["get", "help"],
    ["get", "help"]
  ],
  [["--output"], ["--output"]]
])("%j becomes %j", (given, expected) => {
  assert.deepStrictEqual(normalise(given), expected)
})
