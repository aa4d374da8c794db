import type * as Backend from "../Backend.ts"

/**
 * A backend with some of its methods replaced. Not a spread, which would lose the methods of a backend that is a class.
 *
 * @internal
 */
export const overlay = (backend: Backend.Service, parts: Partial<Omit<Backend.Service, "mode">>): Backend.Service => ({
  mode: backend.mode,
  target: parts.target ?? backend.target,
  write: parts.write ?? ((batch) => backend.write(batch)),
  query: parts.query ?? ((query) => backend.query(query)),
  watch: parts.watch ?? ((filter, from) => backend.watch(filter, from))
})
