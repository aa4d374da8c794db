import { assert, describe, it } from "@effect/vitest"
import * as undici from "undici"
import { createRequire } from "node:module"
import * as parts from "../src/internal/undici.ts"

const requestPart: unknown = createRequire(import.meta.url)("undici/lib/api/api-request.js")

describe("the parts of undici that are loaded alone", () => {
  it("are those that all of it exports, and what it puts together from them", () => {
    assert.strictEqual(parts.Agent, undici.Agent)
    assert.strictEqual(parts.buildConnector, undici.buildConnector)
    assert.strictEqual(Reflect.get(undici.Dispatcher.prototype, "request"), requestPart)
  })
})
