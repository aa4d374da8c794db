import * as net from "node:net"

/**
 * The environment variables that choose a proxy: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, or the same in lower case.
 *
 * @internal
 */
export interface ProxyEnvironment {
  readonly httpProxy: string | undefined
  readonly httpsProxy: string | undefined
  readonly noProxy: string | undefined
}

const isLoopback = (address: string, family: "ipv4" | "ipv6"): boolean => {
  // Made here and not once, because a server is chosen once, and every start of the command would load what makes it.
  const list = new net.BlockList()
  list.addSubnet("127.0.0.0", 8, "ipv4")
  list.addAddress("::1", "ipv6")
  return list.check(address, family)
}

const familyOf = (address: string): "ipv4" | "ipv6" | undefined => {
  const family = net.isIP(address)
  return family === 0 ? undefined : family === 4 ? "ipv4" : "ipv6"
}

const isWithin = (address: string, range: string): boolean => {
  const [base = "", bits = ""] = range.split("/")
  const family = familyOf(base)
  if (family === undefined || !/^\d{1,3}$/.test(bits) || family !== familyOf(address)) return false
  try {
    const list = new net.BlockList()
    list.addSubnet(base, Number(bits), family)
    return list.check(address, family)
  } catch {
    return false
  }
}

const isExempt = (host: string, port: string, noProxy: string): boolean => {
  for (const entry of noProxy.split(",")) {
    let pattern = entry.trim().toLowerCase()
    if (pattern === "") continue
    if (pattern === "*") return true
    if (pattern.includes("/")) {
      if (isWithin(host, pattern)) return true
      continue
    }
    const withPort = /^(.*?):(\d+)$/.exec(pattern)
    if (withPort !== null && familyOf(pattern) === undefined) {
      if (withPort[2] !== port) continue
      pattern = withPort[1]!
    }
    pattern = pattern.replace(/^\[(.*)\]$/, "$1")
    if (familyOf(pattern) !== undefined) {
      if (pattern === host) return true
      continue
    }
    // "example.com" means the domain and its subdomains, ".example.com" and "*.example.com" only the subdomains.
    const domain = pattern.replace(/^\*?\./, "")
    if (host.endsWith(`.${domain}`) || (host === domain && domain === pattern)) return true
  }
  return false
}

/**
 * The proxy for a server: `proxy-url` of the kubeconfig, else that of the environment by the rules of Go and kubectl: none for
 * loopback addresses, and none for what `NO_PROXY` names.
 *
 * @internal
 */
export const proxyFor = (
  server: URL,
  proxyUrl: string | undefined,
  environment: ProxyEnvironment
): string | undefined => {
  if (proxyUrl !== undefined && proxyUrl !== "") return proxyUrl
  const proxy = server.protocol === "https:" ? environment.httpsProxy : environment.httpProxy
  if (proxy === undefined || proxy === "") return undefined
  const host = server.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase()
  const family = familyOf(host)
  if (host === "localhost" || host.endsWith(".localhost") || (family !== undefined && isLoopback(host, family))) {
    return undefined
  }
  const port = server.port === "" ? (server.protocol === "https:" ? "443" : "80") : server.port
  if (isExempt(host, port, environment.noProxy ?? "")) return undefined
  return proxy.includes("://") ? proxy : `http://${proxy}`
}
