/**
 * What editors ask of the compiler while a file is being typed: of TypeScript 5.9 through its language service, of
 * TypeScript 7 through the language server protocol, which is all that it has.
 */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import ts from "typescript"
import * as rpc from "vscode-jsonrpc/node"

/** A file open in an editor. `¦` in the source is where the cursor stands. */
export interface Editor {
  readonly version: string
  /** What the editor offers at the cursor, sorted. */
  readonly offered: (source: string) => Effect.Effect<ReadonlyArray<string>>
  /** What the editor underlines. */
  readonly errors: (source: string) => Effect.Effect<ReadonlyArray<string>>
}

const directory = fileURLToPath(new URL(".", import.meta.url)).replace(/\/$/, "")
/** Exists in the editor only. */
const file = `${directory}/open.ts`

const cursor = (source: string): { readonly text: string; readonly offset: number } => ({
  text: source.replace("¦", ""),
  offset: source.indexOf("¦")
})

export const typescript5: Effect.Effect<Editor, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const parsed = ts.getParsedCommandLineOfConfigFile(`${directory}/tsconfig.json`, undefined, {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
        throw new Error(ts.flattenDiagnosticMessageText(messageText, "\n"))
      }
    })!
    let text = ""
    let version = 0
    const service = ts.createLanguageService({
      getCompilationSettings: () => parsed.options,
      getScriptFileNames: () => [...parsed.fileNames, file],
      getScriptVersion: (name) => (name === file ? String(version) : "0"),
      getScriptSnapshot: (name) => {
        const content = name === file ? text : ts.sys.readFile(name)
        return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
      },
      getCurrentDirectory: () => directory,
      getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
      fileExists: (name) => name === file || ts.sys.fileExists(name),
      readFile: (name) => ts.sys.readFile(name),
      directoryExists: (name) => ts.sys.directoryExists(name),
      getDirectories: (name) => ts.sys.getDirectories(name)
    })
    const show = (next: string): void => {
      text = next
      version++
    }
    const editor: Editor = {
      version: ts.version,
      offered: (source) =>
        Effect.sync(() => {
          const { offset, text } = cursor(source)
          show(text)
          const found = service.getCompletionsAtPosition(file, offset, {})
          return (found?.entries.map(({ name }) => name) ?? []).toSorted()
        }),
      errors: (source) =>
        Effect.sync(() => {
          show(source)
          return [...service.getSyntacticDiagnostics(file), ...service.getSemanticDiagnostics(file)].map(
            ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")
          )
        })
    }
    return { editor, service }
  }),
  ({ service }) => Effect.sync(() => service.dispose())
).pipe(Effect.map(({ editor }) => editor))

const uri = pathToFileURL(file).href

interface Completion {
  readonly label: string
}

/** `typescript` of the workspace: in here the name is that of 5.9. */
const root = createRequire(new URL("../../package.json", import.meta.url))

export const typescript7: Effect.Effect<Editor, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const { version } = root("typescript/package.json") as { readonly version: string }
    const compiler = fileURLToPath(new URL("bin/tsc", pathToFileURL(root.resolve("typescript/package.json"))))
    const server = spawn(process.execPath, [compiler, "--lsp", "--stdio"], { stdio: ["pipe", "pipe", "inherit"] })
    const connection = rpc.createMessageConnection(
      new rpc.StreamMessageReader(server.stdout),
      new rpc.StreamMessageWriter(server.stdin)
    )
    connection.onRequest("workspace/configuration", ({ items }: { readonly items: ReadonlyArray<unknown> }) =>
      items.map(() => null)
    )
    connection.onRequest(() => null)
    connection.listen()
    const folder = pathToFileURL(directory).href
    await connection.sendRequest("initialize", {
      processId: process.pid,
      rootUri: folder,
      capabilities: {},
      workspaceFolders: [{ uri: folder, name: "editor" }]
    })
    await connection.sendNotification("initialized", {})
    let changes = 0
    const show = (text: string): Promise<void> =>
      ++changes === 1
        ? connection.sendNotification("textDocument/didOpen", {
            textDocument: { uri, languageId: "typescript", version: changes, text }
          })
        : connection.sendNotification("textDocument/didChange", {
            textDocument: { uri, version: changes },
            contentChanges: [{ text }]
          })
    const editor: Editor = {
      version,
      offered: (source) =>
        Effect.promise(async () => {
          const { offset, text } = cursor(source)
          await show(text)
          const lines = text.slice(0, offset).split("\n")
          const position = { line: lines.length - 1, character: lines.at(-1)!.length }
          const found: { readonly items: ReadonlyArray<Completion> } | ReadonlyArray<Completion> | null =
            await connection.sendRequest("textDocument/completion", { textDocument: { uri }, position })
          const items = found === null ? [] : "items" in found ? found.items : found
          // A property that may be left out is shown with a question mark.
          return items.map(({ label }) => label.replace(/\?$/, "")).toSorted()
        }),
      errors: (source) =>
        Effect.promise(async () => {
          await show(source)
          const found: { readonly items: ReadonlyArray<{ readonly message: string }> } = await connection.sendRequest(
            "textDocument/diagnostic",
            { textDocument: { uri } }
          )
          return found.items.map(({ message }) => message)
        })
    }
    return { editor, connection, server }
  }),
  ({ connection, server }) =>
    Effect.promise(async () => {
      const ended = new Promise((resolve) => server.once("exit", resolve))
      await connection.sendRequest("shutdown")
      await connection.sendNotification("exit")
      await ended
      connection.dispose()
    })
).pipe(Effect.map(({ editor }) => editor))
