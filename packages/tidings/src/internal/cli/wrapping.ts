/**
 * Texts for people, no wider than their terminal.
 *
 * @internal
 */
import * as table from "./table.ts"

/** A word in pieces of so many columns. */
const pieces = (word: string, room: number): ReadonlyArray<string> => {
  if (table.width(word) <= room) return [word]
  const cut: Array<string> = []
  let current = ""
  for (const character of word) {
    if (current !== "" && table.width(current + character) > room) {
      cut.push(current)
      current = character
    } else current += character
  }
  return [...cut, current]
}

/**
 * A text in lines, broken between words, and inside of words that are too long for a line. The lines after the first begin with so
 * many blanks.
 *
 * @internal
 */
export const wrap = (text: string, room: number, hanging = 0): ReadonlyArray<string> => {
  const indent = hanging > room / 2 ? 2 : hanging
  const margin = " ".repeat(room > indent ? indent : 0)
  const lines: Array<string> = []
  let current = ""
  let left = room
  for (const token of text.match(/\s*\S+/g) ?? []) {
    if (table.width(current + token) <= left) {
      current += token
      continue
    }
    if (current !== "") lines.push(current)
    left = room - (lines.length === 0 ? 0 : margin.length)
    const all = pieces(current === "" ? token : token.trimStart(), left)
    lines.push(...all.slice(0, -1))
    left = room - (lines.length === 0 ? 0 : margin.length)
    current = all.at(-1)!
  }
  return [...lines, current].map((line, index) => (index === 0 ? line : `${margin}${line}`))
}

/**
 * A text of lines, each of which is broken where it is too long; as it is where there is no terminal.
 *
 * @internal
 */
export const fit = (text: string, room: number | undefined, hanging = 0): string =>
  room === undefined || (text.length <= room && !text.includes("\n"))
    ? text
    : text
        .split("\n")
        .flatMap((line) => (table.width(line) <= room ? [line] : wrap(line, room, hanging)))
        .join("\n")
