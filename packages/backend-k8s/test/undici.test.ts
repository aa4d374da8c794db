/// <reference path="../src/internal/undiciParts.d.ts" />
import { assert, describe, it } from "@effect/vitest"
import * as undici from "undici"
import requestPart from "undici/lib/api/api-request.js"
import * as parts from "../src/internal/undici.ts"

describe("the parts of undici that are loaded alone", () => {
  it("are those that all of it exports, and what it puts together from them", () => {
    assert.strictEqual(parts.Agent, undici.Agent)
    assert.strictEqual(parts.buildConnector, undici.buildConnector)
    assert.strictEqual(Reflect.get(undici.Dispatcher.prototype, "request"), requestPart)
  })
})
