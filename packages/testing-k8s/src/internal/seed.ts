/**
 * Numbers that depend on a seed and a text alone, so that an object has the same uid and a request meets the same fault
 * whatever the order in which requests come in.
 */

import * as crypto from "node:crypto"

// cyrb53's mixing steps, on four lanes.
const hashLanes = (text: string, seed: number): readonly [number, number, number, number] => {
  let a = 0xdeadbeef ^ seed
  let b = 0x41c6ce57 ^ seed
  let c = 0x9e3779b9 ^ seed
  let d = 0x85ebca6b ^ seed
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    a = Math.imul(a ^ code, 2654435761)
    b = Math.imul(b ^ code, 1597334677)
    c = Math.imul(c ^ code, 2246822507)
    d = Math.imul(d ^ code, 3266489909)
  }
  const mix = (left: number, right: number): number =>
    (Math.imul(left ^ (left >>> 16), 2246822507) ^ Math.imul(right ^ (right >>> 13), 3266489909)) >>> 0
  const first = mix(a, b)
  const second = mix(b, c)
  const third = mix(c, d)
  const fourth = mix(d, a)
  return [mix(first, third), mix(second, fourth), mix(third, second), mix(fourth, first)]
}

const hex = (value: number): string => value.toString(16).padStart(8, "0")

/** Between 0 and 1. @internal */
export const fraction = (seed: number, text: string): number => hashLanes(text, seed)[0] / 0x1_0000_0000

/** 32 hex digits. @internal */
export const hexDigits = (seed: number, text: string): string => hashLanes(text, seed).map(hex).join("")

/** A version 4 UUID. @internal */
export const uuid = (seed: number, text: string): string => {
  const digits = hexDigits(seed, text)
  const variant = ((Number.parseInt(digits[16] ?? "0", 16) & 3) | 8).toString(16)
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20)
  ].join("-")
}

/** A number between 0 and 2³² that a text leads to. @internal */
export const seedOf = (text: string): number => crypto.createHash("sha256").update(text).digest().readUInt32BE(0)
