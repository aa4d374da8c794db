/**
 * Whether to colour, and with what.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"

/** @internal */
export const MODES = ["auto", "always", "never"] as const

/** @internal */
export type Mode = (typeof MODES)[number]

/** @internal */
export interface Colours {
  readonly warning: (text: string) => string
  readonly strong: (text: string) => string
  readonly faint: (text: string) => string
  /** A text in the colour of a name, which is the same in every line. */
  readonly own: (name: string, text: string) => string
}

const plain = (text: string): string => text
const none: Colours = { warning: plain, strong: plain, faint: plain, own: (_, text) => text }

const sgr =
  (open: number, close: number) =>
  (text: string): string =>
    text === "" ? text : `\u001b[${open}m${text}\u001b[${close}m`

/** Blue, magenta, cyan, green and their light shades: yellow is for warnings, and red for nothing that is only a name. */
const OWN = [34, 35, 36, 32, 94, 95, 96, 92].map((open) => sgr(open, 39))

const own = (name: string, text: string): string => {
  let hash = 0
  for (let index = 0; index < name.length; index++) hash = (Math.imul(hash, 31) + name.charCodeAt(index)) | 0
  return OWN[(hash >>> 0) % OWN.length]!(text)
}

const ansi: Colours = { warning: sgr(33, 39), strong: sgr(1, 22), faint: sgr(2, 22), own }

/**
 * `always` and `never` are obeyed; `auto` colours a terminal unless `NO_COLOR` is set, and other outputs only for
 * `FORCE_COLOR`.
 *
 * @internal
 */
export const coloursOf = (mode: Mode): Effect.Effect<Colours> =>
  mode === "auto"
    ? TerminalCapabilities.useSync(({ canColor }) => (canColor ? ansi : none))
    : Effect.succeed(mode === "always" ? ansi : none)
