/** Index of the first element for which the test holds; the elements before it fail it. @internal */
export const lowerBound = <A>(elements: ReadonlyArray<A>, isAtOrAfter: (element: A) => boolean): number => {
  let low = 0
  let high = elements.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const element = elements[middle]
    if (element !== undefined && isAtOrAfter(element)) {
      high = middle
    } else {
      low = middle + 1
    }
  }
  return low
}
