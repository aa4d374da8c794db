/**
 * Reads one kubeconfig file as kubectl does: `clientcmd/api/v1` in YAML 1.1. A value of the wrong type is an error that names
 * the field; unknown fields are ignored.
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
import { type Fields, Malformed, readFields, readFlag, readList, readText, readTexts } from "./json.ts"

/** @internal */
export interface Cluster {
  readonly name: string
  readonly server: string | undefined
  readonly tlsServerName: string | undefined
  readonly insecureSkipTlsVerify: boolean
  /** Path of a file. */
  readonly certificateAuthority: string | undefined
  readonly certificateAuthorityData: Buffer | undefined
  readonly proxyUrl: string | undefined
  readonly disableCompression: boolean
  /** The extension `client.authentication.k8s.io/exec`, which credential plugins get. */
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
  /** Paths of files. */
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

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const data = (from: Fields, key: string, at: string): Buffer | undefined => {
  const encoded = readText(from, key, at)?.replace(/[\r\n]/g, "")
  if (encoded === undefined || encoded === "") return undefined
  if (!BASE64.test(encoded)) throw new Malformed(`${at}.${key} is not base64`)
  return Buffer.from(encoded, "base64")
}

/** A list of `{ name, [inner]: value }`. */
const entries = (from: Fields, key: string, inner: string, prefix = "") => {
  const names = new Set<string>()
  return readList(from[key], `${prefix}${key}`).map((one, index) => {
    const at = `${prefix}${key}[${index}]`
    const entry = readFields(one, at)
    const name = readText(entry, "name", at) ?? ""
    if (names.has(name)) throw new Malformed(`${prefix}${key} has the name "${name}" twice`)
    names.add(name)
    return { name, value: entry[inner], at: `${at}.${inner}` }
  })
}

const PLUGIN_CONFIG = "client.authentication.k8s.io/exec"

const clusterOf = (name: string, from: Fields, at: string): Cluster => ({
  name,
  server: readText(from, "server", at),
  tlsServerName: readText(from, "tls-server-name", at),
  insecureSkipTlsVerify: readFlag(from, "insecure-skip-tls-verify", at),
  certificateAuthority: readText(from, "certificate-authority", at),
  certificateAuthorityData: data(from, "certificate-authority-data", at),
  proxyUrl: readText(from, "proxy-url", at),
  disableCompression: readFlag(from, "disable-compression", at),
  pluginConfig: entries(from, "extensions", "extension", `${at}.`).find(({ name }) => name === PLUGIN_CONFIG)?.value
})

const pluginOf = (value: unknown, at: string): Plugin | undefined => {
  if (value === undefined || value === null) return undefined
  const from = readFields(value, at)
  const apiVersion = readText(from, "apiVersion", at) ?? ""
  return {
    command: readText(from, "command", at) ?? "",
    args: readTexts(from, "args", at),
    env: readList(from["env"], `${at}.env`).map((one, index) => {
      const place = `${at}.env[${index}]`
      const variable = readFields(one, place)
      return { name: readText(variable, "name", place) ?? "", value: readText(variable, "value", place) ?? "" }
    }),
    apiVersion,
    installHint: readText(from, "installHint", at),
    provideClusterInfo: readFlag(from, "provideClusterInfo", at),
    // Optional before v1.
    interactiveMode:
      readText(from, "interactiveMode", at) ?? (apiVersion.endsWith("/v1beta1") ? "IfAvailable" : undefined)
  }
}

const extraOf = (value: unknown, at: string): User["impersonateExtra"] => {
  const from = readFields(value, at)
  return Object.fromEntries(Object.keys(from).map((key) => [key, readTexts(from, key, at)]))
}

const authProviderOf = (value: unknown, at: string): User["authProvider"] => {
  if (value === undefined || value === null) return undefined
  const from = readFields(value, at)
  const config = readFields(from["config"], `${at}.config`)
  return {
    name: readText(from, "name", at) ?? "",
    config: Object.fromEntries(Object.keys(config).map((key) => [key, readText(config, key, `${at}.config`) ?? ""]))
  }
}

const userOf = (name: string, from: Fields, at: string): User => ({
  name,
  clientCertificate: readText(from, "client-certificate", at),
  clientKey: readText(from, "client-key", at),
  tokenFile: readText(from, "tokenFile", at),
  clientCertificateData: data(from, "client-certificate-data", at),
  clientKeyData: data(from, "client-key-data", at),
  token: readText(from, "token", at),
  username: readText(from, "username", at),
  password: readText(from, "password", at),
  impersonate: readText(from, "as", at),
  impersonateUid: readText(from, "as-uid", at),
  impersonateGroups: readTexts(from, "as-groups", at),
  impersonateExtra: extraOf(from["as-user-extra"], `${at}.as-user-extra`),
  plugin: pluginOf(from["exec"], `${at}.exec`),
  authProvider: authProviderOf(from["auth-provider"], `${at}.auth-provider`)
})

const contextOf = (name: string, from: Fields, at: string): Context => ({
  name,
  cluster: readText(from, "cluster", at),
  user: readText(from, "user", at),
  namespace: readText(from, "namespace", at)
})

// As go-yaml: booleans and numbers of YAML 1.1, and timestamps as texts.
const SCHEMA = CORE_SCHEMA.withTags(mergeTag, nullYaml11Tag, boolYaml11Tag, intYaml11Tag, floatYaml11Tag)

/**
 * The first document of a text in YAML or JSON, `undefined` where there is none, such as in an empty text or one of
 * comments. As in kubectl, of a key that is there twice the last one counts.
 *
 * @internal
 */
export const parseYaml = (source: string): unknown => {
  try {
    return loadAll(source, { schema: SCHEMA, json: true })[0] ?? undefined
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    // Its message quotes lines of the text, which may be secrets.
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
  const from = readFields(document, "the file")
  const apiVersion = readText(from, "apiVersion", "the file")
  const kind = readText(from, "kind", "the file")
  if ((kind ?? "Config") !== "Config" || (apiVersion ?? "v1") !== "v1") {
    throw new Malformed(`it is not a kubeconfig, but apiVersion ${apiVersion ?? "v1"}, kind ${kind ?? "Config"}`)
  }
  const read = <A>(
    key: string,
    inner: string,
    make: (name: string, value: Fields, at: string) => A
  ): ReadonlyArray<A> => entries(from, key, inner).map(({ at, name, value }) => make(name, readFields(value, at), at))
  return {
    clusters: read("clusters", "cluster", clusterOf),
    users: read("users", "user", userOf),
    contexts: read("contexts", "context", contextOf),
    currentContext: readText(from, "current-context", "the file")
  }
}
