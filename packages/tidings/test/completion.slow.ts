// Each shell with the script that the command prints for it, in a pseudo-terminal where it needs one.
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"

vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 })

const home = mkdtempSync(join(tmpdir(), "tidings-completion-"))
const bin = join(import.meta.dirname, "..", "bin", "tidings.mjs")
const env = {
  PATH: `${home}:${process.env["PATH"]}`,
  HOME: home,
  TERM: "xterm",
  TIDINGS_BACKEND: "filesystem",
  TIDINGS_DIRECTORY: join(home, "log"),
  XDG_CONFIG_HOME: join(home, "config")
}

const has = (shell: string): boolean => spawnSync(shell, ["--version"]).error === undefined

/** Installs shells that are missing, where a machine that may be changed says so, as `.ci/run` does. */
const installShells = (): void => {
  const missing = ["zsh", "fish"].filter((shell) => !has(shell))
  if (missing.length === 0 || process.env["TIDINGS_INSTALL_SHELLS"] === undefined || process.getuid!() !== 0) return
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", ...missing]]) {
    spawnSync("apt-get", args, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: "ignore",
      timeout: 120_000
    })
  }
}

const tidings = (...args: ReadonlyArray<string>): string =>
  execFileSync(join(home, "tidings"), args, { env, encoding: "utf8", cwd: home })

beforeAll(() => {
  installShells()
  writeFileSync(join(home, "tidings"), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`, { mode: 0o755 })
  for (const [object, reason] of [
    ["Workflow/deploy", "NightlyRan"],
    ["Workflow/deploy-all", "NightlyFailed"],
    ["Node/worker:1", "NodeReady"]
  ] as const) {
    tidings("emit", object, reason, "it happened", ...(object.startsWith("Node") ? [] : ["-n", "team-a"]))
  }
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

/** Waits until the terminal shows something. */
const until = (child: ChildProcess, screen: () => string, expected: RegExp): Promise<void> =>
  new Promise((resolve, reject) => {
    const look = () => {
      if (expected.test(screen())) resolve()
    }
    child.stdout!.on("data", look)
    child.on("close", () => reject(new Error(`the shell ended without ${String(expected)}:\n${screen()}`)))
    look()
  })

/** The line that is in the editor of a shell when what was typed, tabs included, has shown what is expected. */
const typed = async (start: string, setup: string, line: string, expected: RegExp): Promise<string> => {
  const shell = spawn("script", ["-qec", `stty cols 200 rows 50; exec ${start}`, "/dev/null"], { cwd: home, env })
  const closed = once(shell, "close")
  let screen = ""
  shell.stdout.on("data", (chunk: Buffer) => (screen += stripVTControlCharacters(chunk.toString())))
  const shown = (pattern: RegExp) => until(shell, () => screen, pattern)
  // The echo of what is typed has it in two parts.
  shell.stdin.write(`${setup}\necho set''up\n`)
  await shown(/^setup\r*$/m)
  screen = ""
  shell.stdin.write(line)
  await shown(expected)
  // To the beginning of the line, and to its end.
  shell.stdin.write(`\u0001echo "li''ne: \u0005"\n`)
  await shown(/^li''ne: .*$/m)
  const found = /^li''ne: (.*?)\r*$/m.exec(screen)![1]!
  shell.stdin.write("exit\n")
  await closed
  return found.trimEnd()
}

/** A shell that the machine does not have is told loudly, and is no failure. */
const inShell = (shell: string, name: string, test: () => Promise<void>): void =>
  it(name, async () => {
    if (has(shell)) return test()
    process.stderr.write(`\n!!! ${shell} IS NOT INSTALLED: "${name}" WAS NOT RUN (apt-get install ${shell})\n\n`)
  })

describe("completion", () => {
  const bash = (line: string, expected: RegExp) =>
    typed(
      "bash --norc --noprofile -i",
      "bind 'set show-all-if-ambiguous on'; source <(tidings --completions bash)",
      line,
      expected
    )
  const zsh = (line: string, expected: RegExp) =>
    typed(
      "zsh -f -i",
      "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source <(tidings --completions zsh)",
      line,
      expected
    )

  for (const [shell, type] of [
    ["bash", bash],
    ["zsh", zsh]
  ] as const) {
    inShell(shell, `of verbs and flags in ${shell}`, async () => {
      assert.strictEqual(await type("tidings sto\t", /tidings story/), "tidings story")
      assert.strictEqual(await type("tidings list --rea\t", /--reason/), "tidings list --reason")
      assert.strictEqual(await type("tidings list --type W\t", /Warning/), "tidings list --type Warning")
    })

    inShell(shell, `of kinds, objects, reasons and namespaces of the store in ${shell}`, async () => {
      assert.strictEqual(await type("tidings list node/\t", /worker/), String.raw`tidings list node/worker:1`)
      assert.strictEqual(await type("tidings list Workflow/d\t", /Workflow\/deploy/), "tidings list Workflow/deploy")
      assert.strictEqual(
        await type("tidings list --reason=NightlyR\t", /NightlyRan/),
        "tidings list --reason=NightlyRan"
      )
      assert.strictEqual(await type("tidings follow -n t\t", /team-a/), "tidings follow -n team-a")
    })

    inShell(shell, `of files in ${shell}`, async () => {
      mkdirSync(join(home, "folder-of-logs"), { recursive: true })
      writeFileSync(join(home, "backup.ndjson"), "")
      assert.strictEqual(await type("tidings import backu\t", /backup\.ndjson/), "tidings import backup.ndjson")
      const folder = await type("tidings --directory folder\t", /folder-of-logs/)
      assert.strictEqual(folder.replace(/\/$/, ""), "tidings --directory folder-of-logs")
    })
  }

  const fish = (line: string): ReadonlyArray<string> => {
    mkdirSync(join(home, "config", "fish", "completions"), { recursive: true })
    writeFileSync(join(home, "config", "fish", "completions", "tidings.fish"), tidings("--completions", "fish"))
    const { stderr, stdout } = spawnSync("fish", ["-c", `complete -C ${JSON.stringify(line)}`], {
      cwd: home,
      env,
      encoding: "utf8"
    })
    assert.strictEqual(stderr, "")
    return stdout.trimEnd().split("\n")
  }

  inShell("fish", "of verbs, flags, the store and files in fish", async () => {
    assert.deepStrictEqual(
      fish("tidings sto").map((one) => one.split("\t")[0]),
      ["story"]
    )
    assert.deepStrictEqual(
      fish("tidings list --rea").map((one) => one.split("\t")[0]),
      ["--reason"]
    )
    assert.deepStrictEqual(fish("tidings list --reason Night"), ["NightlyFailed\t1 event", "NightlyRan\t1 event"])
    assert.deepStrictEqual(fish("tidings list --reason=NightlyR"), ["--reason=NightlyRan\t1 event"])
    assert.deepStrictEqual(
      fish("tidings list Workflow/d").map((one) => one.split("\t")[0]),
      ["Workflow/deploy", "Workflow/deploy-all"]
    )
    assert.deepStrictEqual(fish("tidings follow -n "), ["default\t1 event", "team-a\t2 events"])
    writeFileSync(join(home, "backup.ndjson"), "")
    assert.include(
      fish("tidings import backu").map((one) => one.split("\t")[0]),
      "backup.ndjson"
    )
  })
})
