/**
 * Columns that line up, also while the rows are still coming in.
 *
 * @internal
 */
import stringWidth from "fast-string-width"

/** @internal */
export interface Column<Row> {
  readonly title: string
  /** One line, with nothing in it that moves the cursor. */
  readonly cell: (row: Row) => string
  readonly paint?: ((text: string, row: Row) => string) | undefined
}

/** @internal */
export interface Table<Row> {
  /** The header and the rows, all widths known. Later rows keep the widths and only widen them. */
  readonly print: (rows: ReadonlyArray<Row>) => ReadonlyArray<string>
}

const GUTTER = "  "
/** So much of the last column is shown before others are cut for it. */
const LEAST_LAST = 16
/** No column is cut to less. */
const LEAST = 4

const ASCII = /^[\u0020-\u007e]*$/

/** @internal */
export const width = (text: string): number => (ASCII.test(text) ? text.length : stringWidth(text))

// Made at its first use: a segmenter costs as much as the rest of a table.
let graphemes: Intl.Segmenter | undefined

/**
 * The text in at most `room` columns, with an ellipsis where something is missing.
 *
 * @internal
 */
export const truncate = (text: string, room: number): string => {
  if (text.length <= room && ASCII.test(text)) return text
  if (width(text) <= room) return text
  if (room <= 0) return ""
  graphemes ??= new Intl.Segmenter(undefined, { granularity: "grapheme" })
  let kept = ""
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    const next = used + width(segment)
    if (next > room - 1) break
    kept += segment
    used = next
  }
  return `${kept}…`
}

/** How wide the columns are that are shown. */
interface Fit {
  /** Of all that are shown but the last one. */
  readonly widths: ReadonlyArray<number>
  /** Of the last one; absent where nothing is cut. */
  readonly rest: number | undefined
}

/** The largest width at which columns that are no wider than it take no more than so much together. */
const cap = (widths: ReadonlyArray<number>, room: number): number => {
  let left = room
  const rising = widths.toSorted((a, b) => a - b)
  for (const [index, one] of rising.entries()) {
    const share = Math.floor(left / (rising.length - index))
    if (one > share) return share
    left -= one
  }
  return Number.POSITIVE_INFINITY
}

/** The widest columns give way first, then the last one, and where no column has room for a few characters, it is left out. */
const fit = (widths: ReadonlyArray<number>, room: number): Fit => {
  const others = widths.slice(0, -1)
  const gutters = others.length * GUTTER.length
  for (const least of [Math.min(LEAST_LAST, widths.at(-1)!), LEAST]) {
    const most = cap(others, room - gutters - least)
    if (most < LEAST && others.some((one) => one > most)) continue
    const cut = others.map((one) => Math.min(one, most))
    return { widths: cut, rest: room - gutters - cut.reduce((sum, one) => sum + one, 0) }
  }
  return others.length === 0 ? { widths: [], rest: room } : fit(others, room)
}

/**
 * A table whose last column takes what is left of `room` columns; where little is left, other columns are cut too. Without `room`
 * nothing is. A function is asked each time that something is printed.
 *
 * @internal
 */
export const make = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  options: {
    readonly room?: number | undefined | (() => number | undefined)
    readonly paintTitle?: ((text: string) => string) | undefined
    readonly titles?: boolean | undefined
  }
): Table<Row> => {
  const { paintTitle = (text: string) => text, room, titles = true } = options
  const widths = columns.map(({ title }) => (titles ? width(title) : 0))
  let printedTitles = !titles

  const layOut = (
    { rest, widths }: Fit,
    cells: ReadonlyArray<string>,
    paint: (text: string, index: number) => string
  ): string => {
    let out = ""
    for (const [index, room] of widths.entries()) {
      const cell = truncate(cells[index]!, room)
      out += paint(cell, index) + " ".repeat(room - width(cell)) + GUTTER
    }
    const text = cells[widths.length]!
    return (out + paint(rest === undefined ? text : truncate(text, rest), widths.length)).trimEnd()
  }

  return {
    print: (rows) => {
      const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
      for (const row of cells) {
        for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index]!, width(cell))
      }
      const columnsOfTerminal = typeof room === "function" ? room() : room
      const fitting =
        columnsOfTerminal === undefined
          ? { widths: widths.slice(0, -1), rest: undefined }
          : fit(widths, columnsOfTerminal)
      const lines = cells.map((row, number) =>
        layOut(fitting, row, (text, index) => columns[index]!.paint?.(text, rows[number]!) ?? text)
      )
      if (printedTitles) return lines
      printedTitles = true
      const head = columns.map(({ title }) => title)
      return [layOut(fitting, head, paintTitle), ...lines]
    }
  }
}
