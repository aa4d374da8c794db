/** kubectl, run against a cluster. */
import { spawn } from "node:child_process"
import * as os from "node:os"
import { ClusterError } from "./ClusterError.ts"

/** What a program said. */
export interface KubectlResult {
  /** Exit code; 128 + n when signal n ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How to call kubectl. */
export interface KubectlOptions {
  /** Name of a user. Default: `admin`. */
  readonly user?: string | undefined
  /** Given on standard input. */
  readonly input?: string | undefined
}

/** Exit code of a process, as a shell gives it. */
export const exitCode = (code: number | null, signal: string | null): number =>
  code ?? 128 + (os.constants.signals[signal as NodeJS.Signals] ?? 0)

/** Runs kubectl; a failure is a code, not an error. */
export const run = (
  kubectl: string,
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string>,
  options: KubectlOptions = {}
): Promise<KubectlResult> =>
  new Promise((resolve, reject) => {
    const { user, input = "" } = options
    // kubectl takes no flag in front of a plugin's name, so there is none where none is needed.
    const context = user === undefined || user === "admin" ? [] : [`--context=${user}`]
    const child = spawn(kubectl, [...context, ...args], { env: { ...process.env, ...environment } })
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk))
    child.once("error", (error) => reject(new ClusterError("Kubectl", `cannot run kubectl: ${error.message}`)))
    child.once("close", (code, signal) =>
      resolve({
        code: exitCode(code, signal),
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString()
      })
    )
    // A kubectl that does not read its input closes it early.
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })

/** `kubectl apply` of YAML or JSON text, an object, or a list of objects. Returns what kubectl printed. */
export const apply = async (
  kubectl: (args: ReadonlyArray<string>, options?: KubectlOptions) => Promise<KubectlResult>,
  manifests: string | object,
  user: string | undefined
): Promise<string> => {
  const input =
    typeof manifests === "string"
      ? manifests
      : JSON.stringify(Array.isArray(manifests) ? { apiVersion: "v1", kind: "List", items: manifests } : manifests)
  const result = await kubectl(["apply", "-f", "-"], { user, input })
  if (result.code !== 0) {
    throw new ClusterError("Kubectl", `kubectl apply failed: ${result.stderr.trim()}`)
  }
  return result.stdout
}
