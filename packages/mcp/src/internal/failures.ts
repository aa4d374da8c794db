/**
 * What goes wrong with a call, as a sentence that a model can act on.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { ToolResult } from "../Tool.ts"
import * as text from "./text.ts"

/** What another server answered may be a page of HTML. */
const LONGEST_DETAIL = 1_000

/** @internal */
export const result = (message: string): ToolResult => ({ content: [{ type: "text", text: message }], isError: true })

/** @internal */
export const ofArguments = (tool: string, wrong: ReadonlyArray<string>): ToolResult =>
  result(`The tool ${tool} was not run: ${wrong.join("; ")}`)

const adviceFor = ({ reason }: BackendError, mode: string): string => {
  switch (reason._tag) {
    case "Transient":
    case "Throttled":
      return "It may pass by itself: call again in a few seconds."
    case "Unauthorized":
      // Of other stores a namespace is no right of its own.
      if (mode !== "kubernetes") {
        return "This server may not read its store, which no argument of a call changes: `tidings doctor` on its machine says what to grant."
      }
      return 'Name a namespace that may be read, for example {"namespace":"default"}, or ask for the right to list and watch events.'
    case "Unavailable":
      return "The store is away or not set up: call again later; `tidings doctor` on the machine of this server says what is wrong."
    case "Full":
      return "The store has no room for new events; reading still works."
    case "CursorMismatch":
      return "A cursor or page is good only for the store and the arguments it was made with: repeat those, or begin anew without after and page."
    case "TargetMismatch":
      return "Another store stands at this address now: begin anew without after and page, and check where this server points."
  }
}

/** @internal */
export const ofBackend = (error: BackendError, mode: string): ToolResult => {
  const { reason } = error
  const said = reason._tag === "Transient" ? `the store does not answer as it should: ${reason.detail}` : error.message
  return result(`No events could be read: ${text.plain(said, LONGEST_DETAIL)}. ${adviceFor(error, mode)}`)
}
