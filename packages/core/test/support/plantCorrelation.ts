import type { Correlation } from "@tidings/core/Correlation"
import { Correlator } from "@tidings/core/Correlator"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import type { Machines } from "./correlationModel.ts"

/** A bug in a copy of the correlator. The text to find stands in it exactly once. */
export interface Bug {
  readonly name: string
  readonly find: string
  readonly replace: string
}

const SOURCES = path.resolve(import.meta.dirname, "../../src")
const NODE_MODULES = path.resolve(import.meta.dirname, "../../../../node_modules")

const machinesOf = (correlator: typeof Correlator): Machines => ({
  make: (options: Correlation) => new correlator(options),
  restore: (snapshot) => correlator.restore(snapshot)
})

export const product: Machines = machinesOf(Correlator)

/** The correlator with a bug; `remove` deletes the copy. */
export const plant = async ({
  find,
  name,
  replace
}: Bug): Promise<{ readonly machines: Machines; readonly remove: () => void }> => {
  const parts = fs.readFileSync(path.join(SOURCES, "Correlator.ts"), "utf8").split(find)
  if (parts.length !== 2) throw new Error(`${name}: found ${parts.length - 1} times, expected once: ${find}`)
  const source = parts
    .join(replace)
    .replace(/ from "(\.[^"]*)"/g, (_, specifier: string) => ` from "${path.join(SOURCES, specifier)}"`)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-correlation-"))
  fs.symlinkSync(NODE_MODULES, path.join(directory, "node_modules"))
  fs.writeFileSync(path.join(directory, "package.json"), '{ "type": "module" }')
  const file = path.join(directory, "Correlator.ts")
  fs.writeFileSync(file, source)
  const copy = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { readonly Correlator: typeof Correlator }
  return { machines: machinesOf(copy.Correlator), remove: () => fs.rmSync(directory, { recursive: true }) }
}
