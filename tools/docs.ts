// `npm run docs`: type-checks and runs every example: the ```ts blocks of doc comments and of Markdown, and the ```sh
// blocks of Markdown. A block marked ```ts check is only type-checked (it needs a cluster, or never ends).
//
// The ```sh blocks of a document run in order in one scratch folder, `npx tidings` being the command of this repository.
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import { pages } from "./reference.ts"

interface Block {
  readonly file: string
  readonly line: number
  readonly language: "ts" | "sh"
  readonly run: boolean
  readonly code: string
}

const write = process.argv.includes("--write")
const only = process.argv.slice(2).find((argument) => !argument.startsWith("--"))
const scratch = resolve(".doctest")
const tidings = resolve("packages/tidings/bin/tidings.mjs")

const blocksOf = (file: string): ReadonlyArray<Block> => {
  const lines = readFileSync(file, "utf8").split("\n")
  const comment = file.endsWith(".ts")
  const blocks: Array<Block> = []
  let open:
    | { readonly language: "ts" | "sh"; readonly run: boolean; readonly line: number; readonly code: Array<string> }
    | undefined
  let foreign = false
  for (const [index, raw] of lines.entries()) {
    const text = comment ? /^\s*\* ?(.*)$/.exec(raw)?.[1] : raw
    if (text === undefined) {
      open = undefined
      continue
    }
    const fence = /^\s*```(\w*)\s*(.*)$/.exec(text)
    if (fence === null) {
      open?.code.push(text)
    } else if (open !== undefined) {
      blocks.push({ file, line: open.line, language: open.language, run: open.run, code: open.code.join("\n") })
      open = undefined
    } else if (foreign) {
      foreign = false
    } else if (fence[1] === "ts" || (fence[1] === "sh" && !comment)) {
      open = { language: fence[1], run: !fence[2]!.includes("check"), line: index + 1, code: [] }
    } else {
      foreign = true
    }
  }
  return blocks
}

/**
 * The second column of tables below `<!-- rows: NAME -->`, which has expressions: checked in the scope of the file's first
 * block. A test runs them.
 */
const rowsOf = (file: string, first: Block | undefined): ReadonlyArray<Block> => {
  if (first === undefined || !file.endsWith(".md")) return []
  const lines = readFileSync(file, "utf8").split("\n")
  return lines.flatMap((line, index) => {
    if (!line.startsWith("<!-- rows: ")) return []
    const table = lines.slice(index + 2)
    const end = table.findIndex((row) => !row.startsWith("|"))
    const cells = table
      .slice(2, end === -1 ? undefined : end)
      .map((row) => /^\|(?:[^`|]|`[^`]*`)*\| `([^`]*)`/.exec(row)?.[1] ?? "the second column has no code")
    const rows = cells.map((cell) => `  async () => (${cell})`).join(",\n")
    const code = `${first.code}\nexport const rows = [\n${rows}\n]`
    return [{ file, line: index + 1, language: "ts" as const, run: false, code }]
  })
}

const files = globSync(["README.md", "docs/**/*.md", "packages/*/README.md", "packages/*/src/**/*.ts"]).sort()
const blocks = files
  .filter((file) => only === undefined || file.includes(only))
  .flatMap((file) => {
    const ofFile = blocksOf(file)
    return [
      ...ofFile,
      ...rowsOf(
        file,
        ofFile.find(({ language }) => language === "ts")
      )
    ]
  })
const scripts = blocks.filter(({ language }) => language === "ts")

rmSync(scratch, { recursive: true, force: true })
mkdirSync(scratch)
const nameOf = (block: Block): string => `${block.file.replace(/[^A-Za-z0-9]+/g, "-")}-${block.line}`
for (const block of scripts) writeFileSync(join(scratch, `${nameOf(block)}.ts`), `${block.code}\nexport {}\n`)
writeFileSync(
  join(scratch, "tsconfig.json"),
  JSON.stringify({
    extends: "../tsconfig.base.json",
    // Declarations of modules without types of their own, which sources import.
    include: ["*.ts", join(process.cwd(), "packages/*/src/**/*.d.ts")],
    compilerOptions: {
      rootDir: "..",
      noEmit: true,
      composite: false,
      incremental: false,
      declarationMap: false,
      sourceMap: false,
      noUnusedLocals: false,
      types: ["node"],
      tsBuildInfoFile: null
    }
  })
)

const failures: Array<string> = []
const place = ({ file, line }: Block): string => `${file}:${line}`
const fail = (block: Block, what: string, output: string) =>
  failures.push(`${place(block)}: ${what}\n${output.trimEnd()}\n`)

const check =
  scripts.length === 0
    ? { stdout: "" }
    : spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", scratch], { encoding: "utf8" })
const untyped = new Set<string>()
for (const message of check.stdout.split("\n")) {
  const found = /^(?:.*\/)?\.?(?:doctest\/)?([\w-]+)\.ts\((\d+),/.exec(message)
  const block = found === null ? undefined : scripts.find((one) => nameOf(one) === found[1])
  if (block !== undefined && !untyped.has(nameOf(block))) {
    untyped.add(nameOf(block))
    fail(block, "does not type-check", message)
  } else if (block === undefined && /error TS/.test(message)) {
    failures.push(message)
  }
}

const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }
) =>
  new Promise<{ readonly code: number; readonly output: string }>((done) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 })
    let output = ""
    child.stdout.on("data", (chunk) => (output += String(chunk)))
    child.stderr.on("data", (chunk) => (output += String(chunk)))
    child.on("close", (code) => done({ code: code ?? 1, output }))
  })

// Whatever an example writes, it writes into a folder of its own.
const playground = mkdtempSync(join(tmpdir(), "tidings-docs-"))
const environment = { ...process.env, TIDINGS_BACKEND: "filesystem", NODE_OPTIONS: "--conditions=@tidings/source" }
const queue = scripts.filter((block) => block.run && !untyped.has(nameOf(block)))
const worker = async (): Promise<void> => {
  for (let block = queue.shift(); block !== undefined; block = queue.shift()) {
    const cwd = mkdtempSync(join(playground, "ts-"))
    const { code, output } = await run(process.execPath, [join(scratch, `${nameOf(block)}.ts`)], {
      cwd,
      env: environment
    })
    if (code !== 0) fail(block, `ended with ${code}`, output)
  }
}
await Promise.all([worker(), worker()])

const shims = join(playground, "bin")
mkdirSync(shims)
writeFileSync(
  join(shims, "npx"),
  `#!/bin/sh\n[ "$1" = tidings ] || { echo "npx: only tidings can be run here" >&2; exit 127; }\nshift\nexec "${process.execPath}" "${tidings}" "$@"\n`
)
chmodSync(join(shims, "npx"), 0o755)
const byFile = Map.groupBy(
  blocks.filter(({ language }) => language === "sh"),
  ({ file }) => file
)
for (const [, group] of byFile) {
  const cwd = mkdtempSync(join(playground, "sh-"))
  const env = {
    ...process.env,
    PATH: `${shims}${delimiter}${process.env["PATH"]}`,
    TIDINGS_DIRECTORY: "",
    TIDINGS_BACKEND: "filesystem"
  }
  for (const block of group.filter(({ run }) => run)) {
    const { code, output } = await run("bash", ["-euo", "pipefail", "-c", block.code], { cwd, env })
    if (code !== 0) fail(block, `ended with ${code}`, output)
  }
}
rmSync(playground, { recursive: true, force: true })
rmSync(scratch, { recursive: true, force: true })

let made = 0
for (const [file, page] of Object.entries(pages)) {
  if (only !== undefined && !file.includes(only)) continue
  made++
  if (write) writeFileSync(file, page())
  else if (!existsSync(file) || readFileSync(file, "utf8") !== page()) {
    failures.push(`${file} is stale: npm run docs -- --write\n`)
  }
}

// A link to a file of the repository leads to one.
for (const file of files.concat("CONTRIBUTING.md").filter((one) => one.endsWith(".md"))) {
  for (const [, target] of readFileSync(file, "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target!) || existsSync(join(dirname(file), target!))) continue
    made++
    failures.push(`${file}: the link to ${target} leads nowhere\n`)
  }
}

// A file that CONTRIBUTING names is there; `core/Event.ts` stands for `packages/core/src/Event.ts`.
for (const [, file] of readFileSync("CONTRIBUTING.md", "utf8").matchAll(/`([\w./-]+\/[\w./-]+\.ts)`/g)) {
  made++
  const [first, ...rest] = file!.split("/")
  if (existsSync(file!) || existsSync(join("packages", first!, "src", ...rest))) continue
  failures.push(`CONTRIBUTING.md: there is no ${file}\n`)
}

for (const failure of failures) console.error(failure)
console.log(`\n${blocks.length + made - failures.length} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
