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
/** However narrow the terminal is, this much of the last column is shown. */
const LEAST_LAST = 16

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
  if (width(text) <= room) return text
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

/**
 * A table whose last column takes what is left of `room` columns; without `room` nothing is truncated.
 *
 * @internal
 */
export const make = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  options: { readonly room?: number | undefined; readonly paintTitle?: ((text: string) => string) | undefined }
): Table<Row> => {
  const widths = columns.map(({ title }) => width(title))
  const last = columns.length - 1
  const paintTitle = options.paintTitle ?? ((text: string) => text)
  let printedTitles = false

  const layOut = (cells: ReadonlyArray<string>, paint: (text: string, index: number) => string): string => {
    let out = ""
    let used = 0
    for (let index = 0; index < last; index++) {
      const cell = cells[index]!
      out += paint(cell, index) + " ".repeat(widths[index]! - width(cell)) + GUTTER
      used += widths[index]! + GUTTER.length
    }
    const text = cells[last]!
    return (
      out + paint(options.room === undefined ? text : truncate(text, Math.max(LEAST_LAST, options.room - used)), last)
    ).trimEnd()
  }

  return {
    print: (rows) => {
      const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
      for (const row of cells) {
        for (let index = 0; index < last; index++) widths[index] = Math.max(widths[index]!, width(row[index]!))
      }
      const lines = cells.map((row, number) =>
        layOut(row, (text, index) => columns[index]!.paint?.(text, rows[number]!) ?? text)
      )
      if (printedTitles) return lines
      printedTitles = true
      return [
        layOut(
          columns.map(({ title }) => title),
          paintTitle
        ),
        ...lines
      ]
    }
  }
}
