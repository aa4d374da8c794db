/** Rules of names, in the words of Kubernetes. */

const subdomainPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
const labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
const namePattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
const valuePattern = `(${namePattern})?`

const subdomain = new RegExp(`^${subdomainPattern}$`)
const label = new RegExp(`^${labelPattern}$`)
const qualifiedName = new RegExp(`^${namePattern}$`)
const labelValue = new RegExp(`^${valuePattern}$`)

const subdomainText = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomainPattern}')`
const labelText = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${labelPattern}')`
const nameText = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${namePattern}')`
const valueText = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${valuePattern}')`

const charactersTooLong = (value: string, limit: number): ReadonlyArray<string> =>
  Buffer.byteLength(value) > limit ? [`must be no more than ${limit} characters`] : []

const bytesTooLong = (value: string, limit: number, what: string): ReadonlyArray<string> =>
  Buffer.byteLength(value) > limit ? [`${what} be no more than ${limit} bytes`] : []

/** @internal */
export const checkSubdomain = (value: string): ReadonlyArray<string> => [
  ...charactersTooLong(value, 253),
  ...(subdomain.test(value) ? [] : [subdomainText])
]

/** @internal */
export const checkLabel = (value: string): ReadonlyArray<string> => [
  ...charactersTooLong(value, 63),
  ...(label.test(value) ? [] : [labelText])
]

/** @internal */
export const checkLabelValue = (value: string): ReadonlyArray<string> => [
  ...bytesTooLong(value, 63, "must"),
  ...(labelValue.test(value) ? [] : [valueText])
]

/** @internal */
export const checkQualifiedName = (value: string): ReadonlyArray<string> => {
  const parts = value.split("/")
  if (parts.length > 2) {
    return [`a valid label key ${nameText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  }
  const [prefix, name = ""] = parts.length === 1 ? [undefined, value] : parts
  const prefixErrors =
    prefix === ""
      ? ["prefix part must be non-empty"]
      : [
          ...bytesTooLong(prefix ?? "", 253, "prefix part must"),
          ...(prefix === undefined || subdomain.test(prefix) ? [] : [`prefix part ${subdomainText}`])
        ]
  return [
    ...prefixErrors,
    ...(name === "" ? ["name part must be non-empty"] : bytesTooLong(name, 63, "name part must")),
    ...(qualifiedName.test(name) ? [] : [`name part ${nameText}`])
  ]
}

/** What may stand in the path of a URL. @internal */
export const checkPathSegment = (value: string): ReadonlyArray<string> => {
  if (value === "." || value === "..") {
    return [`may not be '${value}'`]
  }
  return ["/", "%"]
    .filter((character) => value.includes(character))
    .map((character) => `may not contain '${character}'`)
}
