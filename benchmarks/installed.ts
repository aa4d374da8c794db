/** The command as npm installs it: in a checkout it first looks whether its sources have changed, which no user waits for. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync } from "node:fs"
import { join, resolve } from "node:path"

const own = resolve("packages/tidings")

/** Builds the command where its sources are newer, copies it into the folder, and answers the file to run. */
export const installCommand = (folder: string): string => {
  const built = spawnSync(process.execPath, [join(own, "bin", "tidings.mjs"), "--version"], {
    env: { ...process.env, NODE_OPTIONS: "" },
    encoding: "utf8"
  })
  if (built.status !== 0) throw new Error(`the command could not be built: ${built.stderr}`)
  cpSync(join(own, "bin"), join(folder, "bin"), { recursive: true })
  mkdirSync(join(folder, "dist"))
  for (const name of readdirSync(join(own, "dist"))) {
    if (name.endsWith(".cjs")) cpSync(join(own, "dist", name), join(folder, "dist", name))
  }
  return join(folder, "bin", "tidings.mjs")
}

/** Builds the library, for programs that import it as hosts do. */
export const buildPackage = (name: string): void => {
  const built = spawnSync("npx", ["--no-install", "turbo", "run", "build", `--filter=${name}`], { encoding: "utf8" })
  if (built.status !== 0) throw new Error(`${name} could not be built: ${built.stdout}${built.stderr}`)
}
