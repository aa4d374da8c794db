/**
 * Marks the functions of the bundle that starts run, so that Node's compile cache has them.
 *
 * The cache is made when a file has been compiled, before it runs. V8 compiles a function then only if it expects it to be
 * called at once, which it does where a parenthesis stands before it; every other one is compiled when it is called, again
 * in each process. Those are a sixth of a start. All of them marked would be a cache that takes longer to load than it saves,
 * so the bundle is run, and those that were called are marked.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { parseSync, Visitor } from "oxc-parser"

/** Called functions by their place in the file: `START:END`. */
type Called = ReadonlySet<string>

interface Coverage {
  readonly result: ReadonlyArray<{
    readonly url: string
    readonly functions: ReadonlyArray<{
      readonly ranges: ReadonlyArray<{
        readonly startOffset: number
        readonly endOffset: number
        readonly count: number
      }>
    }>
  }>
}

const request = (message: object): string => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`

/** What an agent asks first, in the revision that most clients speak, and in the newest. */
const SESSIONS = [
  [
    request({
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "build", version: "1.0.0" } }
    }),
    request({ method: "notifications/initialized" }),
    request({ id: 2, method: "tools/list" }),
    request({ id: 3, method: "tools/call", params: { name: "events", arguments: {} } })
  ],
  [
    request({
      id: 3,
      method: "tools/call",
      params: {
        name: "events",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "build", version: "1.0.0" },
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
    })
  ]
]

interface Run {
  readonly args: ReadonlyArray<string>
  /** What is written to stdin, which stays open until the request 3 is answered. */
  readonly session?: ReadonlyArray<string>
}

const RUNS: ReadonlyArray<Run> = [
  { args: ["emit", "Workflow/deploy", "WorkflowExecuted"] },
  { args: ["list"] },
  ...SESSIONS.map((session) => ({ args: ["mcp"], session }))
]

const run = (command: string, { args, session }: Run, env: NodeJS.ProcessEnv): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args, "--backend", "filesystem"], { env, timeout: 30_000 })
    let out = ""
    let err = ""
    child.stdin.on("error", () => {})
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()))
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString()
      if (/"id":3\b/.test(out)) child.stdin.end()
    })
    if (session === undefined) child.stdin.end()
    else child.stdin.write(session.join(""))
    child.on("error", reject)
    child.on("close", (code) => {
      const answered = session === undefined || (/"id":3\b/.test(out) && !/"error":/.test(out))
      if (code === 0 && answered) resolve()
      else reject(new Error(`the command that was built cannot ${args[0]}:\n${err}${out}`))
    })
  })

/** Runs the command as it starts most often, and answers which functions of its files were called. */
const profile = async (files: ReadonlyMap<string, string>, command: string): Promise<ReadonlyMap<string, Called>> => {
  const folder = await mkdtemp(join(tmpdir(), "tidings-build-"))
  try {
    for (const [name, code] of files) await writeFile(join(folder, name), code)
    const coverage = join(folder, "coverage")
    const { NODE_COMPILE_CACHE: _cache, NODE_OPTIONS: _options, ...rest } = process.env
    const env = { ...rest, NODE_V8_COVERAGE: coverage, TIDINGS_DIRECTORY: join(folder, "log") }
    for (const one of RUNS) await run(join(folder, command), one, env)
    const called = new Map<string, Set<string>>()
    for (const name of await readdir(coverage)) {
      const { result } = JSON.parse(await readFile(join(coverage, name), "utf8")) as Coverage
      for (const { functions, url } of result) {
        const file = basename(url)
        const places = called.get(file) ?? new Set()
        called.set(file, places)
        for (const { ranges } of functions) {
          const [whole] = ranges
          if (whole !== undefined && whole.count > 0) places.add(`${whole.startOffset}:${whole.endOffset}`)
        }
      }
    }
    return called
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Span {
  readonly start: number
  readonly end: number
}

interface Edit {
  readonly at: number
  readonly text: string
  /** Where it removes text: up to there. */
  readonly until?: number
}

/** The code of a span with the edits that are in it, which are in order. */
const edited = (code: string, { end, start }: Span, edits: ReadonlyArray<Edit>): string => {
  let text = ""
  let at = start
  for (const edit of edits) {
    if (edit.at < at || edit.at > end) continue
    text += code.slice(at, edit.at) + edit.text
    at = edit.until ?? edit.at
  }
  return text + code.slice(at, end)
}

const mark = (code: string, called: Called): string => {
  const { program } = parseSync("bundle.mjs", code)
  const edits: Array<Edit> = []
  // A method has no place for a parenthesis before it.
  const methods = new Set<object>()
  const wasCalled = ({ end, start }: Span): boolean => called.has(`${start}:${end}`)
  const parenthesise = (node: Span): void => {
    if (methods.has(node) || !wasCalled(node)) return
    edits.push({ at: node.start, text: "(" }, { at: node.end, text: ")" })
  }
  new Visitor({
    MethodDefinition: ({ value }) => void methods.add(value),
    Property: ({ kind, method, value }) => void (method || kind !== "init" ? methods.add(value) : undefined),
    FunctionExpression: parenthesise,
    ArrowFunctionExpression: parenthesise
  }).visit(program)
  const isClosing = ({ text }: Edit): number => Number(text !== ")")
  edits.sort((a, b) => a.at - b.at || isClosing(a) - isClosing(b))

  // A declaration has no place either: it becomes a variable, at the beginning, because it may be called before its place.
  const moved: Array<Edit> = []
  const variables: Array<string> = []
  for (const node of program.body) {
    if (node.type !== "FunctionDeclaration" || node.id === null || !wasCalled(node)) continue
    const { end, name, start } = node.id
    const anonymous = [{ at: start, text: "", until: end }, ...edits.filter(({ at }) => at >= end)]
    variables.push(`${name}=(${edited(code, node, anonymous)})`)
    moved.push({ at: node.start, text: "", until: node.end })
  }
  const isMoved = ({ at }: Edit): boolean => moved.some(({ at: from, until }) => at > from && at < until!)
  const remaining = [...edits.filter((edit) => !isMoved(edit)), ...moved].sort(
    (a, b) => a.at - b.at || isClosing(a) - isClosing(b)
  )
  const declared = variables.length === 0 ? "" : `var ${variables.join(",")};`
  return declared + edited(code, { start: 0, end: code.length }, remaining)
}

/**
 * The code of the files, by name, with the functions marked that `command`, one of them, calls when it starts.
 */
export const markCalled = async (
  files: ReadonlyMap<string, string>,
  command: string
): Promise<ReadonlyMap<string, string>> => {
  const called = await profile(files, command)
  return new Map([...files].map(([name, code]) => [name, mark(code, called.get(name) ?? new Set())]))
}
