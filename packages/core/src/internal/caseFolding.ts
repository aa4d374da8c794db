/**
 * Texts without the difference of upper and lower case, by Unicode's simple case folding: one code point for one code point,
 * whatever stands around it. `toLowerCase` of a whole text is no such function (`Σ` at the end of a word becomes `ς`, `İ` becomes
 * two code points), so what contains a text would depend on where in the text one looks.
 *
 * Beyond simple case folding, `İ` and `ı` are folded to `i`, so that Turkish words are found however they are written.
 */

/** Folded by Unicode, though neither case mapping has one code point; and `İ`, of which lower case has two. */
const UNMAPPED: ReadonlyMap<number, number> = new Map([
  [0x130, 0x69],
  [0x1fd3, 0x390],
  [0x1fe3, 0x3b0],
  [0xfb05, 0xfb06]
])

const onlyCodePointOf = (text: string): number | undefined => {
  const codePoint = text.codePointAt(0)!
  return text.length === (codePoint > 0xffff ? 2 : 1) ? codePoint : undefined
}

const fold = (codePoint: number): number => {
  const unmapped = UNMAPPED.get(codePoint)
  if (unmapped !== undefined) return unmapped
  const upper = onlyCodePointOf(String.fromCodePoint(codePoint).toUpperCase()) ?? codePoint
  return onlyCodePointOf(String.fromCodePoint(upper).toLowerCase()) ?? upper
}

const OUTSIDE_ASCII = /[^\0-\x7f]/u
const SURROGATE = /[\ud800-\udfff]/

/** Folded code units that are no surrogates, worked out when they first occur; 0 is not worked out. */
let units: Uint16Array | undefined

const foldUnit = (unit: number): number => {
  units ??= new Uint16Array(0x1_0000)
  const known = units[unit]!
  if (known !== 0) return known
  // A surrogate has no case without the other half of its pair.
  const folded = unit >= 0xd800 && unit <= 0xdfff ? unit : fold(unit)
  units[unit] = folded
  return folded
}

/**
 * A text without the difference of upper and lower case, as long as before.
 *
 * @internal
 */
export const foldCase = (text: string): string => {
  if (!OUTSIDE_ASCII.test(text)) return text.toLowerCase()
  let folded = ""
  for (const one of text) folded += String.fromCodePoint(fold(one.codePointAt(0)!))
  return folded
}

/** Whether a text that is folded code unit by code unit contains a folded text without surrogates. */
const containsUnits = (text: string, wanted: string): boolean => {
  const first = wanted.charCodeAt(0)
  const { length } = wanted
  for (let start = 0, end = text.length - length; start <= end; start++) {
    if (foldUnit(text.charCodeAt(start)) !== first) continue
    let at = 1
    while (at < length && foldUnit(text.charCodeAt(start + at)) === wanted.charCodeAt(at)) at++
    if (at === length) return true
  }
  return false
}

const isInsidePair = (text: string, at: number): boolean =>
  at > 0 && at < text.length && text.codePointAt(at - 1)! > 0xffff

/** Whether a text contains another one whose ends are not inside of a surrogate pair. */
const containsCodePoints = (text: string, wanted: string): boolean => {
  for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) {
    if (!isInsidePair(text, at) && !isInsidePair(text, at + wanted.length)) return true
  }
  return false
}

/**
 * Makes the test whether a text contains another one, upper and lower case being the same; a half of a surrogate pair is not
 * contained in it. What depends on the wanted text alone is worked out once.
 *
 * @internal
 */
export const containing = (wanted: string): ((text: string) => boolean) => {
  const folded = foldCase(wanted)
  if (folded === "") return () => true
  if (SURROGATE.test(folded)) return (text) => containsCodePoints(foldCase(text), folded)
  const isAscii = !OUTSIDE_ASCII.test(folded)
  return (text) => {
    if (OUTSIDE_ASCII.test(text)) return containsUnits(text, folded)
    return isAscii && text.toLowerCase().includes(folded)
  }
}
