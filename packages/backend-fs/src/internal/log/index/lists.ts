/**
 * Lists for the rows of one block.
 *
 * @internal
 */
export class Lists {
  rows = new Uint32Array()
  lasts = new Float64Array()
  starts = new Float64Array()
  candidates = new Uint8Array()

  reserve(rows: number): void {
    if (this.rows.length >= rows) return
    this.rows = new Uint32Array(2 * rows)
    this.lasts = new Float64Array(2 * rows)
    this.starts = new Float64Array(2 * rows)
    this.candidates = new Uint8Array(2 * rows)
  }
}
