/** Paths that lead to no resource: discovery, the version, and health. */
import { discoveryList, groupList, groupOf, resourceList, versionInfo } from "./discovery.ts"
import type { Json } from "./json.ts"
import { acceptsDiscovery, type IncomingRequest } from "./request.ts"
import type { ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import type { Answer } from "./statuses.ts"

const discover = (
  segments: ReadonlyArray<string>,
  accept: string | undefined,
  resources: ReadonlyArray<ResourceType>,
  serverAddress: string
): Json | undefined => {
  const [root, group, version] = segments
  if (group === undefined && acceptsDiscovery(accept)) return discoveryList(resources, root === "api")
  if (root === "api") {
    return group === undefined
      ? {
          kind: "APIVersions",
          versions: ["v1"],
          serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }]
        }
      : resourceList(resources, "", group)
  }
  if (group === undefined) return groupList(resources)
  return version === undefined ? groupOf(resources, group) : resourceList(resources, group, version)
}

const health = (root: string, isVerbose: boolean): Answer =>
  Status.textAnswer(
    200,
    isVerbose ? `[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n${root} check passed\n` : "ok"
  )

/** @internal */
export const answerPath = (
  path: string,
  request: IncomingRequest,
  resources: ReadonlyArray<ResourceType>,
  serverAddress: string
): Answer => {
  const segments = path.split("/").filter((segment, index) => segment !== "" || index === 1)
  const [root = ""] = segments
  const forGet = (body: Json): Answer =>
    request.method === "GET" ? Status.jsonAnswer(200, body) : Status.methodNotAllowed
  if (root === "api" || root === "apis") {
    const body = discover(segments, request.accept, resources, serverAddress)
    return body === undefined ? Status.pageNotFound : forGet(body)
  }
  if (segments.length !== 1) {
    return Status.pageNotFound
  }
  switch (root) {
    case "version":
      return forGet(versionInfo)
    case "healthz":
    case "livez":
    case "readyz":
      return health(root, request.query.has("verbose"))
    default:
      return Status.pageNotFound
  }
}
