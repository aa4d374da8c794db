import { assert, describe, it } from "@effect/vitest"
import { type ProxyEnvironment, proxyFor } from "../src/internal/proxy.ts"

const environment = (over: Partial<ProxyEnvironment> = {}): ProxyEnvironment => ({
  httpProxy: undefined,
  httpsProxy: "http://proxy:3128",
  noProxy: undefined,
  ...over
})

const choose = (server: string, over: Partial<ProxyEnvironment> = {}, proxyUrl?: string) =>
  proxyFor(new URL(server), proxyUrl, environment(over))

describe("the proxy for a server", () => {
  it("is the one of the kubeconfig before that of the environment, also to this machine", () => {
    assert.strictEqual(choose("https://k8s:6443", {}, "socks5://other:1080"), "socks5://other:1080")
    assert.strictEqual(choose("https://127.0.0.1:6443", { noProxy: "*" }, "http://other:1"), "http://other:1")
  })

  it("depends on the protocol of the server", () => {
    assert.strictEqual(choose("https://k8s:6443"), "http://proxy:3128")
    assert.isUndefined(choose("http://k8s:8001"))
    assert.strictEqual(choose("http://k8s:8001", { httpProxy: "http://plain:80" }), "http://plain:80")
    assert.isUndefined(choose("https://k8s", { httpsProxy: undefined, httpProxy: "http://plain:80" }))
  })

  it("may be named without a protocol", () => {
    assert.strictEqual(choose("https://k8s", { httpsProxy: "proxy:3128" }), "http://proxy:3128")
  })

  it("is none to this machine", () => {
    for (const server of [
      "https://localhost:6443",
      "https://127.0.0.1:6443",
      "https://127.8.8.8",
      "https://[::1]:6443",
      "https://a.localhost"
    ]) {
      assert.isUndefined(choose(server), server)
    }
  })

  const exempt: ReadonlyArray<readonly [string, string, boolean]> = [
    ["https://k8s.example.com", "example.com", true],
    ["https://example.com", "example.com", true],
    ["https://example.com", ".example.com", false],
    ["https://k8s.example.com", ".example.com", true],
    ["https://k8s.example.com", "*.example.com", true],
    ["https://k8sexample.com", "example.com", false],
    ["https://K8S.Example.com", "EXAMPLE.COM", true],
    ["https://k8s.example.com:6443", "example.com:6443", true],
    ["https://k8s.example.com:6443", "example.com:443", false],
    ["https://k8s.example.com", "example.com:443", true],
    ["https://10.1.2.3:6443", "10.0.0.0/8", true],
    ["https://11.1.2.3:6443", "10.0.0.0/8", false],
    ["https://10.1.2.3:6443", "10.1.2.3", true],
    ["https://10.1.2.3:6443", "10.1.2.3:6443", true],
    ["https://10.1.2.3:6443", "10.1.2.4", false],
    ["https://[fd00::1]:6443", "fd00::/8", true],
    ["https://[fd00::1]:6443", "fd00::1", true],
    ["https://[fd00::1]:6443", "[fd00::1]:6443", true],
    ["https://10.1.2.3", "nonsense/8,10.0.0.0/99,/,", false],
    ["https://k8s", "a, k8s ,b", true],
    ["https://k8s", "*", true],
    ["https://k8s", "", false]
  ]
  for (const [server, noProxy, isExempt] of exempt) {
    it(`${server} is ${isExempt ? "" : "not "}exempt by "${noProxy}"`, () => {
      assert.strictEqual(choose(server, { noProxy }) === undefined, isExempt)
    })
  }
})
