import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { problemsOf, readSources } from "../../tools/boundaries.ts"
import { parse } from "../../tools/imports.ts"

const root = resolve(import.meta.dirname, "../..")

const repository = readSources(root)

/** What is refused when a file is added, or gets more text at its end. */
const refused = (...planted: ReadonlyArray<readonly [file: string, text: string]>): ReadonlyArray<string> => {
  const sources = new Map(repository.map((source) => [source.file, source]))
  for (const [file, text] of planted) sources.set(file, parse(file, `${sources.get(file)?.text ?? ""}${text}`))
  return problemsOf([...sources.values()])
}

describe("the boundaries between sources", () => {
  it("accept the repository as it is", () => {
    assert.isAbove(repository.length, 400)
    assert.deepStrictEqual(refused(), [])
  })

  it("refuse two modules that import each other", () => {
    assert.deepStrictEqual(
      refused(
        ["packages/core/src/internal/planted/a.ts", `import "./b.ts"\n`],
        ["packages/core/src/internal/planted/b.ts", `import "./a.ts"\n`]
      ),
      [
        "imports in a circle: packages/core/src/internal/planted/a.ts -> packages/core/src/internal/planted/b.ts -> packages/core/src/internal/planted/a.ts"
      ]
    )
  })

  it("refuse a circle of types alone, re-exports and imports inside of types included", () => {
    const files = ["a", "b", "c"].map((name) => `tools/planted/${name}.ts`)
    assert.deepStrictEqual(
      refused(
        [files[0]!, `import type { B } from "./b.ts"\nexport type A = B\n`],
        [files[1]!, `export type { C as B } from "./c.ts"\n`],
        [files[2]!, `export type C = ReadonlyArray<import("./a.ts").A>\n`]
      ),
      [`imports in a circle: ${[...files, files[0]].join(" -> ")}`]
    )
  })

  it("refuse a circle through the names of packages", () => {
    const problems = refused([
      "packages/core/src/Event.ts",
      `export type { Write as Planted } from "@tidings/core/EventQuery"\n`
    ])
    assert.lengthOf(problems, 1)
    assert.match(problems[0]!, /^imports in a circle: .*packages\/core\/src\/Event\.ts/)
  })

  it("accept two modules that both import a third", () => {
    assert.deepStrictEqual(
      refused(
        ["tools/planted/a.ts", `import "./b.ts"\nimport "./c.ts"\n`],
        ["tools/planted/b.ts", `import "./d.ts"\n`],
        ["tools/planted/c.ts", `import "./d.ts"\n// import "./a.ts"\n`],
        ["tools/planted/d.ts", `export const text = 'import "./a.ts"'\n`]
      ),
      []
    )
  })

  it("refuse a package that imports one that stands on it", () => {
    assert.deepStrictEqual(
      refused(["packages/core/src/planted.ts", `\nimport type {} from "@tidings/testing/Simulation"\n`]),
      ["packages/core/src/planted.ts:2: core must not import @tidings/testing/Simulation"]
    )
    assert.deepStrictEqual(
      refused(["packages/templates/src/planted.ts", `export * from "@tidings/core/Timestamp"\n`]),
      ["packages/templates/src/planted.ts:1: templates must not import @tidings/core/Timestamp"]
    )
  })

  it("refuse the internal modules of another package, by path and by name", () => {
    const target = "packages/core/src/internal/text.ts"
    for (const specifier of ["../../core/src/internal/text.ts", "@tidings/core/internal/text"]) {
      assert.deepStrictEqual(refused(["packages/backend-fs/src/planted.ts", `import "${specifier}"\n`]), [
        `packages/backend-fs/src/planted.ts:1: ${target} is internal to its package`
      ])
    }
  })

  it("refuse a module of a sink that imports another package", () => {
    assert.deepStrictEqual(
      refused(["packages/core/src/internal/sink/planted.ts", `import "@tidings/templates/GoDuration"\n`]),
      [
        "packages/core/src/internal/sink/planted.ts:1: a module of sink/ must stay in core: @tidings/templates/GoDuration"
      ]
    )
  })

  it("refuse libraries and Node where a package must do without", () => {
    assert.deepStrictEqual(
      refused(["packages/core/src/planted.ts", `import "node:fs"\nimport "yaml"\nexport const now = Date.now()\n`]),
      [
        "packages/core/src/planted.ts:1: core must not import node:fs",
        "packages/core/src/planted.ts:2: core must not import yaml",
        "packages/core/src/planted.ts:3: time, randomness and the environment come from services: export const now = Date.now()"
      ]
    )
  })

  it("refuse sources that reach tests, and tools that reach benchmarks", () => {
    assert.deepStrictEqual(
      refused(
        ["packages/core/src/planted.ts", `import "../test/planted.ts"\n`],
        ["tools/planted.ts", `import "../benchmarks/main.ts"\n`]
      ),
      [
        "packages/core/src/planted.ts:1: core must not reach outside of its sources: ../test/planted.ts",
        "tools/planted.ts:1: tools must not import benchmarks/main.ts by its path"
      ]
    )
  })

  it("refuse a package that the table does not know", () => {
    assert.deepStrictEqual(refused(["packages/planted/src/index.ts", `import "effect"\n`]), [
      "packages/planted/src/index.ts:1: the package planted is not in the table of tools/boundaries.ts"
    ])
  })

  it("see imports in every form that TypeScript has", () => {
    for (const text of [
      `import fs = require("@tidings/testing/Simulation")\n`,
      `export import fs = require("@tidings/testing/Simulation")\n`,
      `import type fs = require("@tidings/testing/Simulation")\n`,
      `const fs = require("@tidings/testing/Simulation")\n`,
      `const fs = await import("@tidings/testing/Simulation")\n`,
      `export type Fs = typeof import("@tidings/testing/Simulation")\n`
    ]) {
      assert.deepStrictEqual(
        refused(["packages/core/src/planted.ts", text]),
        ["packages/core/src/planted.ts:1: core must not import @tidings/testing/Simulation"],
        text
      )
    }
    const files = ["a", "b"].map((name) => `tools/planted/${name}.ts`)
    assert.deepStrictEqual(
      refused([files[0]!, `import b = require("./b.ts")\n`], [files[1]!, `import a = require("./a.ts")\n`]),
      [`imports in a circle: ${[...files, files[0]].join(" -> ")}`]
    )
    assert.deepStrictEqual(
      refused([files[0]!, `import b = c.d\nconst require = load\nrequire(name)\nb.require("./a.ts")\n`]),
      []
    )
  })

  it("say wrong directions first, then circles, then the rest", () => {
    assert.deepStrictEqual(
      refused(
        ["packages/core/src/a.ts", `import "./b.ts"\nexport const now = Date.now()\n`],
        ["packages/core/src/b.ts", `import "./a.ts"\n`],
        ["packages/templates/src/planted.ts", `export * from "@tidings/core/Timestamp"\n`]
      ).map((problem) => problem.split(" ")[0]),
      ["packages/templates/src/planted.ts:1:", "imports", "packages/core/src/a.ts:2:"]
    )
  })

  it("refuse an exception that is not needed any more", () => {
    const file = "benchmarks/kubernetes/server.ts"
    assert.include(
      problemsOf(repository.filter((source) => source.file !== file)),
      `tools/boundaries.ts: this exception is not needed any more: ${file} -> packages/testing-k8s/src/internal/certificates.ts`
    )
  })

  it("make the command fail, which says where and why", () => {
    const copy = mkdtempSync(join(tmpdir(), "tidings-boundaries-"))
    try {
      for (const { file, text } of repository) {
        mkdirSync(dirname(join(copy, file)), { recursive: true })
        writeFileSync(join(copy, file), text)
      }
      appendFileSync(join(copy, "packages/core/src/Timestamp.ts"), `\nimport type {} from "@tidings/core/Event"\n`)
      writeFileSync(join(copy, "packages/core/src/planted.ts"), `import "@tidings/backend-fs/FileBackend"\n`)
      const { status, stderr } = spawnSync(process.execPath, [join(root, "tools/boundaries.ts"), copy], {
        encoding: "utf8"
      })
      assert.strictEqual(status, 1)
      assert.match(
        stderr,
        /^packages\/core\/src\/planted\.ts:1: core must not import @tidings\/backend-fs\/FileBackend$/m
      )
      assert.match(stderr, /^imports in a circle: .*packages\/core\/src\/Timestamp\.ts/m)
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })
})
