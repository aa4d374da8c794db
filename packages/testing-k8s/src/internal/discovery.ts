/** What a server says of its resources and of itself. */
import type { Json, JsonObject, MutableJsonObject } from "./json.ts"
import { groupVersionOf, type ResourceType, type Subresource } from "./resourceType.ts"

const resourceEntry = (resource: ResourceType): Json => ({
  name: resource.plural,
  singularName: resource.singular,
  namespaced: resource.namespaced,
  kind: resource.kind,
  verbs: resource.verbs,
  ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
  ...(resource.categories.length === 0 ? {} : { categories: resource.categories })
})

const subresourceEntry = (resource: ResourceType, { groupVersion, kind, name, verbs }: Subresource): Json => ({
  name: `${resource.plural}/${name}`,
  singularName: "",
  namespaced: resource.namespaced,
  ...(groupVersion === undefined ? {} : { group: groupVersion[0], version: groupVersion[1] }),
  kind,
  verbs
})

/** The body of `/api/v1` and `/apis/GROUP/VERSION`. @internal */
export const resourceList = (
  resources: ReadonlyArray<ResourceType>,
  group: string,
  version: string
): JsonObject | undefined => {
  const members = resources.filter((resource) => resource.group === group && resource.version === version)
  if (members.length === 0) {
    return undefined
  }
  return {
    kind: "APIResourceList",
    ...(group === "" ? {} : { apiVersion: "v1" }),
    groupVersion: groupVersionOf({ group, version }),
    resources: members.flatMap((resource) => [
      resourceEntry(resource),
      ...resource.subresources.map((subresource) => subresourceEntry(resource, subresource))
    ])
  }
}

const groupEntry = (resources: ReadonlyArray<ResourceType>, group: string): MutableJsonObject => {
  const versions = [...new Set(resources.filter((one) => one.group === group).map((one) => one.version))].map(
    (version): Json => ({ groupVersion: `${group}/${version}`, version })
  )
  return { name: group, versions, preferredVersion: versions[0] ?? null }
}

/** The body of `/apis`. @internal */
export const groupList = (resources: ReadonlyArray<ResourceType>): Json => ({
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: [...new Set(resources.map((resource) => resource.group))]
    .filter((group) => group !== "")
    .map((group) => groupEntry(resources, group))
})

const discoveryEntry = (resource: ResourceType): Json => ({
  resource: resource.plural,
  responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
  scope: resource.namespaced ? "Namespaced" : "Cluster",
  singularResource: resource.singular,
  verbs: resource.verbs,
  ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
  ...(resource.categories.length === 0 ? {} : { categories: resource.categories })
})

/** The body of `/api` and `/apis` for who asks for all kinds at once; without subresources. @internal */
export const discoveryList = (resources: ReadonlyArray<ResourceType>, isCore: boolean): Json => {
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => (group === "") === isCore)
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map((group) => {
      const members = resources.filter((one) => one.group === group)
      return {
        metadata: { ...(isCore ? {} : { name: group }), creationTimestamp: null },
        versions: [...new Set(members.map(({ version }) => version))].map((version) => ({
          version,
          resources: members.filter((one) => one.version === version).map(discoveryEntry),
          freshness: "Current"
        }))
      }
    })
  }
}

/** The body of `/apis/GROUP`. @internal */
export const groupOf = (resources: ReadonlyArray<ResourceType>, group: string): Json | undefined =>
  resources.some((resource) => resource.group === group)
    ? { kind: "APIGroup", apiVersion: "v1", ...groupEntry(resources, group) }
    : undefined

/** The body of `/version`. @internal */
export const versionInfo: Json = {
  major: "1",
  minor: "37",
  emulationMajor: "1",
  emulationMinor: "37",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "36",
  gitVersion: "v1.37.2",
  gitCommit: "$Format:%H$",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go1.26.8",
  compiler: "gc",
  platform: "linux/amd64"
}
