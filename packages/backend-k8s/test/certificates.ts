/**
 * Certificates for servers and clients of one test, made anew each time.
 */
import * as crypto from "node:crypto"

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const objectId = (...bytes: ReadonlyArray<number>) => der(0x06, Buffer.from(bytes))
const ecdsaWithSha256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`))
const nameOf = (commonName: string) =>
  sequence(der(0x31, sequence(objectId(0x55, 0x04, 0x03), der(0x0c, Buffer.from(commonName)))))
const extension = (id: Buffer, value: Buffer) => sequence(id, der(0x04, value))

export interface Identity {
  readonly cert: string
  readonly key: string
}

/** A certificate that vouches for itself, for a name or for an address of IPv4. */
export const selfSigned = (
  name: string,
  options: { readonly from?: Date | undefined; readonly until?: Date | undefined } = {}
): Identity => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" })
  const isAddress = /^[\d.]+$/.test(name)
  const alternative = isAddress ? der(0x87, Buffer.from(name.split(".").map(Number))) : der(0x82, Buffer.from(name))
  const day = 86_400_000
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), crypto.randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(name),
    sequence(time(options.from ?? new Date(Date.now() - day)), time(options.until ?? new Date(Date.now() + day))),
    nameOf(name),
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        extension(objectId(0x55, 0x1d, 0x13), sequence(der(0x01, Buffer.from([0xff])))),
        extension(objectId(0x55, 0x1d, 0x11), sequence(alternative))
      )
    )
  )
  const signature = crypto.sign("sha256", body, privateKey)
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  const lines = certificate
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}
