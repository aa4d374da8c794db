import { assert, describe, it } from "@effect/vitest"
import * as fingerprint from "../src/internal/fingerprint.ts"

describe("fingerprints of texts", () => {
  it("are the same in every release, because checkpoints and clusters hold them", () => {
    for (const [text, short, hexadecimal] of [
      ["", "14cknrm039xsaa1116e030zoim60", "916be1520bcea2728577e1638098c4b8"],
      ["a", "1hc6b7g0x3o3ea0kj7xfa05m9fuy", "c03bfe3c774d2e324a0167f6143fc28a"],
      ["Step build failed: \u{1f4a5}", "1it9cui0g88sic0iix33f160ckfl", "c58c7e4a3a7d8a5442c467eb9767da71"]
    ] as const) {
      assert.strictEqual(fingerprint.short(text), short)
      assert.strictEqual(fingerprint.hexadecimal(text), hexadecimal)
    }
  })

  it("have 28 digits of base 36 and 32 of base 16, whatever the text is", () => {
    for (let n = 0; n < 20_000; n++) {
      assert.match(fingerprint.short(`series ${n}`), /^(?:[01][0-9a-z]{6}){4}$/)
      assert.match(fingerprint.hexadecimal(`series ${n}`), /^[0-9a-f]{32}$/)
    }
  })
})
