import { assert, describe, it } from "@effect/vitest"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as LogPosition from "../src/internal/log/position.ts"
import * as SegmentName from "../src/internal/log/segmentName.ts"

const OFFSETS = [0, 1, 9, 10, 99, 12_345, 4_294_967_296, 999_999_999_999_999, 1e15, 4_000_000_000_000_000]
const CHECKS = [0, 1, 0xabc, 0x80000000, 0xffffffff]

const segmentOf = (key: string): SegmentName.SegmentName => {
  const segment = SegmentName.parseKey(key)
  assert.isDefined(segment)
  return segment
}

describe("a cursor of the event log", () => {
  it("is that of its position as text, whatever was encoded before", () => {
    for (const id of ["", "0", "01", "012", 'with "quotes"', "ünïcödé", "00000001-20261129:0:00000000"]) {
      const encode = Position.cursorEncoder({
        mode: "filesystem",
        target: Target.make(id),
        filter: { reason: "Pulled" }
      })
      const cursors = new LogPosition.CursorEncoder(encode)
      for (const key of ["00000001-20261129", "123456789012-20261130", "00000001-20261129"]) {
        for (const offset of OFFSETS) {
          for (const check of CHECKS) {
            const position = { segment: segmentOf(key), offset, check }
            assert.strictEqual(cursors.of(position), encode(LogPosition.format(position)))
          }
        }
        assert.strictEqual(cursors.of(LogPosition.beginning), encode("beginning"))
      }
    }
  })
})
