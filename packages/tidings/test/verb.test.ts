import { assert, describe, it } from "@effect/vitest"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as Layer from "effect/Layer"
import * as catalogue from "../src/internal/cli/catalogue.ts"
import { Session } from "../src/internal/cli/session.ts"
import * as tidings from "../src/internal/cli/tidings.ts"
import * as verb from "../src/internal/cli/verb.ts"
import * as verbs from "../src/internal/cli/verbs.ts"
import type { Context } from "../src/internal/cli/verbContext.ts"

const context = (archive: Context["archive"]): Context => ({
  catalogue: catalogue.make(EventGenerator, []),
  flags: new Set(),
  archive
})
const run = Layer.succeed(Session, {} as never)

const namesOf = (commands: ReadonlyArray<{ readonly name: string }>) => commands.map(({ name }) => name)

describe("the verb that a command line is about", () => {
  it("is loaded alone, whichever it is", async () => {
    const withArchive = context(tidings.backend.archive)
    const names = namesOf(verbs.all(withArchive, run))
    assert.include(names, "archive")
    for (const name of names) assert.deepStrictEqual(namesOf(await verb.load(name, withArchive, run)), [name])
  })

  it("is looked for among all where no verb has that name", async () => {
    const withoutArchive = context(undefined)
    const names = namesOf(verbs.all(withoutArchive, run))
    for (const name of [undefined, "--help", "lst", "archive"]) {
      assert.deepStrictEqual(namesOf(await verb.load(name, withoutArchive, run)), names)
    }
  })
})
