/**
 * Texts that no backend gave as a cursor or page token, and positions that no cursor or page token holds.
 *
 * @internal
 */
export const garbage: ReadonlyArray<string> = [
  "",
  " ",
  "garbage",
  "beginnings",
  "null",
  "{}",
  "[]",
  "e30",
  "W10",
  "bnVsbA",
  "-1",
  "NaN",
  "Infinity",
  "1.5",
  "0x10",
  "%00",
  "../..",
  "✓",
  "\u0000",
  "x".repeat(10_000)
]
