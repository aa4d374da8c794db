// `npm run test:hosts`: packs the packages as they would be published, looks at what is in them, installs them in a folder
// outside of this repository, and runs hosts there: on Node, the newest and the oldest, Bun and Deno, as modules and by
// require, and through the compilers that hosts have. Closes with `N passed, M failed`.
import { spawn, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const PACKAGES = [
  "templates",
  "core",
  "backend-fs",
  "backend-k8s",
  "backend-postgres",
  "testing",
  "testing-k8s",
  "mcp",
  "tidings"
]
/** What a host installs beside the packages; the compilers and runtimes are the ones that are promised to work. */
const BESIDE = {
  "@types/node": "24.19.2",
  bun: "1.4.5",
  deno: "2.9.6",
  node22: "npm:node@22.19.0",
  typescript5: "npm:typescript@5.9.3",
  typescript7: "npm:typescript@7.0.2"
}

let passed = 0
let failed = 0
const check = async (name: string, test: () => Promise<void> | void): Promise<void> => {
  try {
    await test()
    passed++
    console.log(`ok      ${name}`)
  } catch (error) {
    failed++
    console.error(`FAILED  ${name}\n${error instanceof Error ? error.message : String(error)}`)
  }
}

interface Ran {
  readonly status: number | string | null
  readonly stdout: string
  readonly stderr: string
}

/** A host must end by itself: one that does not within a minute is killed, and has failed. */
const run = (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  begun?: (child: { readonly kill: (signal: NodeJS.Signals) => void }, stdout: string) => void
): Promise<Ran> =>
  new Promise((done) => {
    // Nothing of this repository's settings, such as the condition that leads to the sources.
    const { NODE_OPTIONS: _options, TIDINGS_BACKEND: _backend, TIDINGS_DIRECTORY: _directory, ...env } = process.env
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += String(chunk)
      begun?.({ kill: (signal) => child.kill(signal) }, stdout)
    })
    child.stderr.on("data", (chunk) => (stderr += String(chunk)))
    child.on("error", (error) => done({ status: 1, stdout, stderr: error.message }))
    child.on("close", (code, signal) => done({ status: code ?? signal, stdout, stderr }))
  })

const must = async (running: Promise<Ran>, status: Ran["status"] = 0): Promise<Ran> => {
  const ran = await running
  if (ran.status !== status) throw new Error(`ended with ${ran.status}, expected ${status}\n${ran.stdout}${ran.stderr}`)
  return ran
}

const npm = (cwd: string, ...args: ReadonlyArray<string>): string => {
  const script = process.env["npm_execpath"]
  const [command, first] = script?.endsWith(".js") ? [process.execPath, [script]] : ["npm", []]
  const ran = spawnSync(command, [...first, ...args], { cwd, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 })
  if (ran.status !== 0) throw new Error(`npm ${args.join(" ")}: ${ran.stderr || ran.error?.message}`)
  return ran.stdout
}

// ---------------------------------------------------------------------------
// what is published
// ---------------------------------------------------------------------------

interface Packed {
  readonly name: string
  readonly filename: string
  readonly unpackedSize: number
  readonly files: ReadonlyArray<{ readonly path: string }>
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | null | Readonly<Record<string, string>>>>
  readonly bin?: Readonly<Record<string, string>>
}

/** What no package may carry: tests, what a build leaves for itself, and anything of the machine that built it. */
const UNWANTED = /(?:^|\/)(?:test|tests|fixtures|node_modules)\/|\.tsbuildinfo$|\.test\.|vitest\.config|tsconfig|\.env/
const MAXIMUM_BYTES = 12_000_000

const look = async (directory: string, { files, name, unpackedSize }: Packed): Promise<void> => {
  const paths = new Set(files.map(({ path }) => path))
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest
  await check(`${name} has a README that names it and a licence`, () => {
    for (const path of ["README.md", "LICENSE"]) if (!paths.has(path)) throw new Error(`there is no ${path} in it`)
    const readme = readFileSync(join(directory, "README.md"), "utf8")
    if (!readme.startsWith(`# ${name}\n`)) throw new Error(`README.md begins otherwise than "# ${name}"`)
    if (!readme.includes(`npm install`)) throw new Error("README.md does not say how to install it")
    if (readFileSync(join(directory, "LICENSE"), "utf8") !== readFileSync(join(root, "LICENSE"), "utf8")) {
      throw new Error("LICENSE is another than that of the repository")
    }
  })
  await check(`${name} has what its exports lead to, and nothing else`, () => {
    const unwanted = [...paths].filter((path) => UNWANTED.test(path))
    if (unwanted.length > 0) throw new Error(`it has ${unwanted.join(", ")}`)
    const targets = Object.values(manifest.exports).flatMap((target) =>
      target === null ? [] : typeof target === "string" ? [target] : Object.values(target)
    )
    for (const target of [...targets, ...Object.values(manifest.bin ?? {})]) {
      const pattern = new RegExp(`^${target.slice(2).replaceAll(".", "\\.").replace("*", "[^/]+")}$`)
      if (![...paths].some((path) => pattern.test(path))) throw new Error(`nothing is at ${target}`)
    }
    // A source map without its source, or a source without its output, is half of a package; declarations have none, and of
    // some packages all private modules are in one.
    const ofSource = paths.has("dist/internal/modules.js") ? /^src\/([^/]*)(?<!\.d)\.ts$/ : /^src\/(.*)(?<!\.d)\.ts$/
    for (const path of paths) {
      const output = ofSource.exec(path)?.[1]
      if (output !== undefined && !paths.has(`dist/${output}.js`)) throw new Error(`there is no output of ${path}`)
    }
    if (unpackedSize > MAXIMUM_BYTES) throw new Error(`it has ${unpackedSize} bytes`)
  })
  await check(`${name} has nothing of this machine in it`, () => {
    for (const path of paths) {
      if (readFileSync(join(directory, path), "utf8").includes(root)) throw new Error(`${path} names ${root}`)
    }
  })
}

// ---------------------------------------------------------------------------
// hosts
// ---------------------------------------------------------------------------

const onlyDone = ({ stderr, stdout }: Ran): void => {
  if (stdout !== "done\n") throw new Error(`expected nothing but "done" on stdout, got:\n${stdout}`)
  if (!stderr.includes("Events stay in memory"))
    throw new Error(`expected a line of the log on stderr, got:\n${stderr}`)
}

const hosts = async (folder: string): Promise<void> => {
  const binary = (name: string) => join(folder, "node_modules", ".bin", name)
  const oldest = join(folder, "node_modules", "node22", "bin", "node")
  const runtimes = {
    [`Node ${process.versions.node}`]: [process.execPath],
    "Node 22.19": [oldest],
    "Bun 1.4": [binary("bun")],
    "Deno 2.9": [binary("deno"), "run", "--allow-all"]
  }
  for (const [name, [command, ...args]] of Object.entries(runtimes)) {
    for (const [how, file] of [
      ["as a module", "host.mjs"],
      ["by require", "host.cjs"]
    ] as const) {
      await check(`a host on ${name} that loads the packages ${how}`, async () =>
        onlyDone(await must(run(folder, command!, [...args, file])))
      )
    }
    for (const signal of ["SIGTERM", "SIGHUP"] as const) {
      await check(`a host on ${name} that is ended by ${signal} keeps what it has recorded`, async () => {
        const directory = mkdtempSync(join(folder, "log-"))
        let sent = false
        const running = run(folder, command!, [...args, "graceful.mjs", directory], (child, stdout) => {
          if (sent || !stdout.includes("ready")) return
          sent = true
          child.kill(signal)
        })
        await must(running, signal)
        const lines = readFileSync(join(directory, "events.log"), "utf8").trim().split("\n").length
        if (lines !== 500) throw new Error(`it kept ${lines} of 500 events`)
      })
    }
  }

  await check("a host that has the package twice has one event manager", async () =>
    onlyDone(await must(run(folder, process.execPath, ["twoCopies.cjs"])))
  )

  const kubeconfig = join(folder, "kubeconfig")
  const server = spawn(process.execPath, ["server.mjs", kubeconfig], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"]
  })
  try {
    await new Promise((begun) => server.stdout.once("data", begun))
    for (const [name, [command, ...args]] of Object.entries(runtimes)) {
      await check(`a host on ${name} records into a cluster, reads it back and follows it`, async () => {
        const component = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")
        const { stdout } = await must(run(folder, command!, [...args, "cluster.mjs", kubeconfig, component]))
        if (stdout !== "done\n") throw new Error(stdout)
      })
    }
  } finally {
    server.kill()
  }

  const compile = (name: string, file: string, ...args: ReadonlyArray<string>) =>
    run(folder, process.execPath, [
      join("node_modules", name, "bin", "tsc"),
      "--noEmit",
      "--strict",
      "--exactOptionalPropertyTypes",
      "--skipLibCheck",
      "false",
      "--target",
      "ES2024",
      "--types",
      "node",
      ...args,
      file
    ])
  for (const [version, name] of [
    ["5.9", "typescript5"],
    ["7", "typescript7"]
  ] as const) {
    for (const file of ["typed.mts", "required.cts", "everything.mts"]) {
      await check(`TypeScript ${version} checks ${file} and the declarations of the packages`, async () => {
        await must(compile(name, file, "--module", "NodeNext"))
      })
    }
    await check(`TypeScript ${version} checks a host that a bundler reads`, async () => {
      await must(compile(name, "typed.mts", "--module", "ESNext", "--moduleResolution", "Bundler"))
    })
  }
  await check("a host in TypeScript does what its types say", async () => {
    const { stdout } = await must(run(folder, process.execPath, ["typed.mts"]))
    if (stdout !== "done\n") throw new Error(stdout)
  })
  await check("no type of Effect's is in the signatures of the promise API", async () => {
    await must(run(folder, process.execPath, ["effectTypes.cjs"]))
  })
  await check("the command that is installed runs", async () => {
    const { stdout } = await must(
      run(folder, process.execPath, [
        join("node_modules", "tidings", "bin", "tidings.mjs"),
        "explain",
        "WorkflowStepFailed"
      ])
    )
    if (!stdout.includes("WorkflowStepFailed")) throw new Error(stdout)
  })
}

/** Every module that a package exports. */
const everything = (packed: ReadonlyArray<Packed>): string =>
  packed
    .flatMap(({ files, name }) =>
      files.flatMap(({ path }) => {
        const module = /^src\/([A-Z][^/]*)\.ts$/.exec(path)?.[1]
        return module === undefined ? [] : [`${name}/${module}`]
      })
    )
    .map((specifier, index) => `import * as M${index} from "${specifier}"\nvoid M${index}\n`)
    .join("")

const folder = mkdtempSync(join(tmpdir(), "tidings-hosts-"))
try {
  const tarballs = join(folder, "tarballs")
  mkdirSync(tarballs)
  const built = spawnSync("npx", ["--no-install", "turbo", "run", "build"], { cwd: root, encoding: "utf8" })
  if (built.status !== 0) throw new Error(`the packages do not build:\n${built.stdout}${built.stderr}`)
  const packed: Array<Packed> = []
  for (const name of PACKAGES) {
    const directory = join(root, "packages", name)
    const [one] = JSON.parse(npm(directory, "pack", "--json", "--pack-destination", tarballs)) as [Packed]
    packed.push(one)
    await look(directory, one)
  }

  const effect = (createRequire(join(root, "package.json"))("effect/package.json") as { readonly version: string })
    .version
  const dependencies: Record<string, string> = { effect, ...BESIDE }
  // `@tidings/testing` is for tests, which bring vitest; its types need it.
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly devDependencies: Readonly<Record<string, string>>
  }
  for (const name of ["vitest", "@effect/vitest"]) dependencies[name] = manifest.devDependencies[name]!
  for (const { filename, name } of packed) dependencies[name] = `file:${join(tarballs, filename.replaceAll("/", "-"))}`
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({
      name: "host",
      private: true,
      dependencies,
      allowScripts: { bun: true, deno: true, node: true, node22: true }
    })
  )
  console.log(`installing ${packed.length} packages and what hosts run on in ${folder}`)
  npm(folder, "install", "--no-audit", "--no-fund")
  if (!existsSync(join(folder, "node_modules", "tidings", "dist", "Tidings.js")))
    throw new Error("nothing was installed")

  cpSync(join(root, "tests", "hosts"), folder, { recursive: true })
  cpSync(join(folder, "typed.ts"), join(folder, "typed.mts"))
  writeFileSync(join(folder, "everything.mts"), everything(packed))
  await hosts(folder)
} catch (error) {
  failed++
  console.error(error instanceof Error ? error.message : error)
} finally {
  if (process.argv.includes("--keep")) console.log(`kept ${folder}`)
  else rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
