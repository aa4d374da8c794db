/**
 * One kubeconfig file, read as kubectl reads it: `clientcmd/api/v1` in YAML 1.1, whose fields have types. What has the
 * wrong type is an error that names its place; fields that are not known are passed over.
 */
import {
  CORE_SCHEMA,
  boolYaml11Tag,
  floatYaml11Tag,
  intYaml11Tag,
  loadAll,
  mergeTag,
  nullYaml11Tag,
  YAMLException
} from "js-yaml"

/** @internal */
export interface Cluster {
  readonly name: string
  readonly server: string | undefined
  readonly tlsServerName: string | undefined
  readonly insecureSkipTlsVerify: boolean
  /** A file. */
  readonly certificateAuthority: string | undefined
  readonly certificateAuthorityData: Buffer | undefined
  readonly proxyUrl: string | undefined
  readonly disableCompression: boolean
  /** The extension `client.authentication.k8s.io/exec`, which credential plugins are told. */
  readonly pluginConfig: unknown
}

/**
 * A program that gives credentials.
 *
 * @internal
 */
export interface Plugin {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: ReadonlyArray<{ readonly name: string; readonly value: string }>
  readonly apiVersion: string
  readonly installHint: string | undefined
  readonly provideClusterInfo: boolean
  readonly interactiveMode: string | undefined
}

/** @internal */
export interface User {
  readonly name: string
  /** Files. */
  readonly clientCertificate: string | undefined
  readonly clientKey: string | undefined
  readonly tokenFile: string | undefined
  readonly clientCertificateData: Buffer | undefined
  readonly clientKeyData: Buffer | undefined
  readonly token: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly impersonate: string | undefined
  readonly impersonateUid: string | undefined
  readonly impersonateGroups: ReadonlyArray<string>
  readonly impersonateExtra: Readonly<Record<string, ReadonlyArray<string>>>
  readonly plugin: Plugin | undefined
  readonly authProvider: { readonly name: string; readonly config: Readonly<Record<string, string>> } | undefined
}

/** @internal */
export interface Context {
  readonly name: string
  readonly cluster: string | undefined
  readonly user: string | undefined
  readonly namespace: string | undefined
}

/** @internal */
export interface Kubeconfig {
  readonly clusters: ReadonlyArray<Cluster>
  readonly users: ReadonlyArray<User>
  readonly contexts: ReadonlyArray<Context>
  readonly currentContext: string | undefined
}

/**
 * What is wrong in a file, and where.
 *
 * @internal
 */
export class Malformed extends Error {}

type Fields = Readonly<Record<string, unknown>>

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? "a list" : typeof value === "object" ? "a map" : `a ${typeof value}`

const wrong = (at: string, expected: string, value: unknown): Malformed =>
  new Malformed(`${at} must be ${expected}, and is ${kindOf(value)}`)

const fields = (value: unknown, at: string): Fields => {
  if (value === undefined || value === null) return {}
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(at, "a map", value)
  return { ...value }
}

const list = (value: unknown, at: string): ReadonlyArray<unknown> => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong(at, "a list", value)
  return value
}

/** Absent and empty are the same, as they are to kubectl. */
const text = (from: Fields, key: string, at: string): string | undefined => {
  const value = from[key]
  if (value === undefined || value === null || value === "") return undefined
  if (typeof value !== "string") throw wrong(`${at}.${key}`, "text in quotes", value)
  return value
}

const flag = (from: Fields, key: string, at: string): boolean => {
  const value = from[key]
  if (value === undefined || value === null) return false
  if (typeof value !== "boolean") throw wrong(`${at}.${key}`, "true or false", value)
  return value
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const data = (from: Fields, key: string, at: string): Buffer | undefined => {
  const encoded = text(from, key, at)?.replace(/[\r\n]/g, "")
  if (encoded === undefined || encoded === "") return undefined
  if (!BASE64.test(encoded)) throw new Malformed(`${at}.${key} is no base64`)
  return Buffer.from(encoded, "base64")
}

const texts = (from: Fields, key: string, at: string): ReadonlyArray<string> =>
  list(from[key], `${at}.${key}`).map((value, index) => {
    if (value === null) return ""
    if (typeof value !== "string") throw wrong(`${at}.${key}[${index}]`, "text in quotes", value)
    return value
  })

/** A list of `{ name, [inner]: value }`. */
const entries = (from: Fields, key: string, inner: string, prefix = "") => {
  const names = new Set<string>()
  return list(from[key], `${prefix}${key}`).map((one, index) => {
    const at = `${prefix}${key}[${index}]`
    const entry = fields(one, at)
    const name = text(entry, "name", at) ?? ""
    if (names.has(name)) throw new Malformed(`${prefix}${key} has the name "${name}" twice`)
    names.add(name)
    return { name, value: entry[inner], at: `${at}.${inner}` }
  })
}

const PLUGIN_CONFIG = "client.authentication.k8s.io/exec"

const clusterOf = (name: string, from: Fields, at: string): Cluster => ({
  name,
  server: text(from, "server", at),
  tlsServerName: text(from, "tls-server-name", at),
  insecureSkipTlsVerify: flag(from, "insecure-skip-tls-verify", at),
  certificateAuthority: text(from, "certificate-authority", at),
  certificateAuthorityData: data(from, "certificate-authority-data", at),
  proxyUrl: text(from, "proxy-url", at),
  disableCompression: flag(from, "disable-compression", at),
  pluginConfig: entries(from, "extensions", "extension", `${at}.`).find(({ name }) => name === PLUGIN_CONFIG)?.value
})

const pluginOf = (value: unknown, at: string): Plugin | undefined => {
  if (value === undefined || value === null) return undefined
  const from = fields(value, at)
  const apiVersion = text(from, "apiVersion", at) ?? ""
  return {
    command: text(from, "command", at) ?? "",
    args: texts(from, "args", at),
    env: list(from["env"], `${at}.env`).map((one, index) => {
      const place = `${at}.env[${index}]`
      const variable = fields(one, place)
      return { name: text(variable, "name", place) ?? "", value: text(variable, "value", place) ?? "" }
    }),
    apiVersion,
    installHint: text(from, "installHint", at),
    provideClusterInfo: flag(from, "provideClusterInfo", at),
    // Before v1 a plugin need not say.
    interactiveMode: text(from, "interactiveMode", at) ?? (apiVersion.endsWith("/v1beta1") ? "IfAvailable" : undefined)
  }
}

const extraOf = (value: unknown, at: string): User["impersonateExtra"] => {
  const from = fields(value, at)
  return Object.fromEntries(Object.keys(from).map((key) => [key, texts(from, key, at)]))
}

const authProviderOf = (value: unknown, at: string): User["authProvider"] => {
  if (value === undefined || value === null) return undefined
  const from = fields(value, at)
  const config = fields(from["config"], `${at}.config`)
  return {
    name: text(from, "name", at) ?? "",
    config: Object.fromEntries(Object.keys(config).map((key) => [key, text(config, key, `${at}.config`) ?? ""]))
  }
}

const userOf = (name: string, from: Fields, at: string): User => ({
  name,
  clientCertificate: text(from, "client-certificate", at),
  clientKey: text(from, "client-key", at),
  tokenFile: text(from, "tokenFile", at),
  clientCertificateData: data(from, "client-certificate-data", at),
  clientKeyData: data(from, "client-key-data", at),
  token: text(from, "token", at),
  username: text(from, "username", at),
  password: text(from, "password", at),
  impersonate: text(from, "as", at),
  impersonateUid: text(from, "as-uid", at),
  impersonateGroups: texts(from, "as-groups", at),
  impersonateExtra: extraOf(from["as-user-extra"], `${at}.as-user-extra`),
  plugin: pluginOf(from["exec"], `${at}.exec`),
  authProvider: authProviderOf(from["auth-provider"], `${at}.auth-provider`)
})

const contextOf = (name: string, from: Fields, at: string): Context => ({
  name,
  cluster: text(from, "cluster", at),
  user: text(from, "user", at),
  namespace: text(from, "namespace", at)
})

// What go-yaml knows: the words and numbers of YAML 1.1, and times as the text that they are.
const SCHEMA = CORE_SCHEMA.withTags(mergeTag, nullYaml11Tag, boolYaml11Tag, intYaml11Tag, floatYaml11Tag)

/**
 * The first document of a text in YAML or JSON, `undefined` where there is none, such as in an empty text or one of
 * comments. Of a key that is there twice the last one counts, as it does to kubectl.
 *
 * @internal
 */
export const parseYaml = (source: string): unknown => {
  try {
    return loadAll(source, { schema: SCHEMA, json: true })[0] ?? undefined
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    // Its message holds lines of the text, and with them its secrets.
    throw new Malformed(
      error.mark === undefined
        ? error.reason
        : `line ${error.mark.line + 1}, column ${error.mark.column + 1}: ${error.reason}`
    )
  }
}

/**
 * Reads a text. One without a document is a kubeconfig without entries.
 *
 * @internal
 */
export const parse = (source: string): Kubeconfig => {
  const document = parseYaml(source)
  const from = fields(document, "the file")
  const apiVersion = text(from, "apiVersion", "the file")
  const kind = text(from, "kind", "the file")
  if ((kind ?? "Config") !== "Config" || (apiVersion ?? "v1") !== "v1") {
    throw new Malformed(`it is no kubeconfig, but apiVersion ${apiVersion ?? "v1"}, kind ${kind ?? "Config"}`)
  }
  const read = <A>(
    key: string,
    inner: string,
    make: (name: string, value: Fields, at: string) => A
  ): ReadonlyArray<A> => entries(from, key, inner).map(({ at, name, value }) => make(name, fields(value, at), at))
  return {
    clusters: read("clusters", "cluster", clusterOf),
    users: read("users", "user", userOf),
    contexts: read("contexts", "context", contextOf),
    currentContext: text(from, "current-context", "the file")
  }
}
