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
}

const plain = (text: string): string => text
const none: Colours = { warning: plain, strong: plain, faint: plain }

const sgr =
  (open: number, close: number) =>
  (text: string): string =>
    text === "" ? text : `\u001b[${open}m${text}\u001b[${close}m`
const ansi: Colours = { warning: sgr(33, 39), strong: sgr(1, 22), faint: sgr(2, 22) }

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
