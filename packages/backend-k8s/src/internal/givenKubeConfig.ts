/**
 * A `KubeConfig` of `@kubernetes/client-node` that the host has loaded. Its own methods give the credentials.
 */
import type { RequestOptions } from "node:https"

/**
 * A configuration that the host has loaded: what is used of the `KubeConfig` of `@kubernetes/client-node`.
 *
 * @category models
 * @since 0.2.0
 */
export interface KubeConfig {
  getCurrentContext(): string
  setCurrentContext(context: string): void
  getContextObject(name: string): { readonly namespace?: string | undefined } | null
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string | undefined } | null
  /** Adds credentials and certificates. Called again when they may have changed, one call at a time. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>
}

/** @internal */
export interface Chosen {
  /** With the chosen context as its current one. */
  readonly kubeConfig: KubeConfig
  readonly context: string
  readonly namespace: string | undefined
  readonly cluster: { readonly server: string; readonly proxyUrl: string | undefined }
}

/**
 * Chooses a context of a `KubeConfig`, by default its current one. The `KubeConfig` of the host is not changed.
 *
 * @internal
 */
export const chosen = (given: KubeConfig, wantedContext: string | undefined): Chosen => {
  let kubeConfig = given
  if (wantedContext !== undefined) {
    kubeConfig = Object.create(given) as KubeConfig
    kubeConfig.setCurrentContext(wantedContext)
  }
  const context = kubeConfig.getCurrentContext()
  const found = kubeConfig.getContextObject(context)
  if (found === null) throw new Error(`it has no context "${context}"`)
  const cluster = kubeConfig.getCurrentCluster()
  if (cluster === null) throw new Error(`the cluster of context "${context}" is not there`)
  const { namespace } = found
  const { proxyUrl, server } = cluster
  return {
    kubeConfig,
    context,
    namespace: namespace === "" ? undefined : namespace,
    cluster: { server, proxyUrl: proxyUrl === "" ? undefined : proxyUrl }
  }
}

/**
 * The options of requests: headers, certificates and keys.
 *
 * @internal
 */
export const read = async (kubeConfig: KubeConfig): Promise<RequestOptions> => {
  const options: RequestOptions = {}
  await kubeConfig.applyToHTTPSOptions(options)
  return options
}

/**
 * The `Authorization` of an auth-provider `oidc`, whose tokens `@kubernetes/client-node` knows how to renew.
 *
 * @internal
 */
export const readOidc = async (config: Readonly<Record<string, string>>): Promise<string> => {
  let client: typeof import("@kubernetes/client-node")
  try {
    client = await import("@kubernetes/client-node")
  } catch (cause) {
    const message =
      "an auth-provider oidc needs the package @kubernetes/client-node: npm install @kubernetes/client-node"
    throw new Error(message, { cause })
  }
  const kubeConfig = new client.KubeConfig()
  const name = "oidc"
  kubeConfig.loadFromOptions({
    // No request is sent to this address.
    clusters: [{ name, server: "https://127.0.0.1", skipTLSVerify: false }],
    users: [{ name, authProvider: { name, config: { ...config } } }],
    contexts: [{ name, cluster: name, user: name }],
    currentContext: name
  })
  const { headers } = await read(kubeConfig)
  for (const [header, value] of Object.entries(headers ?? {})) {
    if (header.toLowerCase() === "authorization" && value !== undefined) return String(value)
  }
  throw new Error("its auth-provider oidc gave no token; log in again")
}
