import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Result } from "effect"
import { type TemplateCheck, TemplateFields } from "../src/index.ts"

const refused = (types: { readonly [key: string]: TemplateFields.FieldType }): TemplateFields.TemplateFieldsError =>
  Result.getOrThrow(Result.flip(TemplateFields.make(types)))

describe("templateName", () => {
  it.each([
    ["name", "Name"],
    ["podCount", "PodCount"],
    ["stepId", "StepID"],
    ["id", "ID"],
    ["Id", "ID"],
    ["idle", "Idle"],
    ["stepID", "StepID"],
    ["idId", "IdID"],
    ["paid", "Paid"],
    ["_private", "_private"],
    ["ärger", "Ärger"],
    ["名前", "名前"]
  ])("of %s is %s", (key, name) => {
    assert.strictEqual(TemplateFields.templateName(key), name)
  })

  it("has the literal type of its result", () => {
    expectTypeOf(TemplateFields.templateName("stepId")).toEqualTypeOf<"StepID">()
    expectTypeOf(TemplateFields.templateName("podCount")).toEqualTypeOf<"PodCount">()
    expectTypeOf<TemplateCheck.TemplateName<"id">>().toEqualTypeOf<"ID">()
    expectTypeOf<TemplateCheck.TemplateName<"idId">>().toEqualTypeOf<"IdID">()
    expectTypeOf<TemplateCheck.TemplateName<"idle">>().toEqualTypeOf<"Idle">()
    expectTypeOf<TemplateCheck.TemplateName<"stepId" | "podCount">>().toEqualTypeOf<"StepID" | "PodCount">()
    expectTypeOf<TemplateCheck.TemplateName<never>>().toBeNever()
  })
})

describe("make", () => {
  it("names each key", () => {
    const fields = Result.getOrThrow(
      TemplateFields.make({ orderId: "text", podCount: "count", pay: ["card", "cash"], arguments: "open" })
    )
    assert.deepStrictEqual(fields, {
      OrderID: { type: "text", key: "orderId" },
      PodCount: { type: "count", key: "podCount" },
      Pay: { type: ["card", "cash"], key: "pay" },
      Arguments: { type: "open", key: "arguments" }
    })
  })

  it("keeps functions for reading values, only for own keys of the record", () => {
    const read = (data: object): unknown => data
    const types = { name: "text", toString: "text" as const } as const
    const fields = Result.getOrThrow(TemplateFields.make(types, { get: { name: read } }))
    assert.deepStrictEqual(fields["Name"], { type: "text", key: "name", get: read })
    assert.deepStrictEqual(fields["ToString"], { type: "text", key: "toString" })
  })

  it.each([
    [{ orderId: "text", orderID: "text" }, "OrderID", ["orderId", "orderID"]],
    [{ name: "text", Name: "count" }, "Name", ["name", "Name"]]
  ] as const)("refuses two keys of one name", (types, name, keys) => {
    assert.deepStrictEqual(refused(types).reason, { _tag: "SameName", name, keys })
  })

  it.each(["", "step-id", "2nd", "a b", "a.b", "{{", "\ud800"])("refuses the key %j", (key) => {
    assert.deepStrictEqual(refused({ name: "text", [key]: "text" }).reason, { _tag: "InvalidKey", key })
  })

  it("reports what to change", () => {
    assert.strictEqual(
      refused({ orderId: "text", orderID: "text" }).message,
      'the data keys "orderId" and "orderID" are both .OrderID in a template: rename one'
    )
    assert.strictEqual(
      refused({ "step-id": "text" }).message,
      'the data key "step-id" cannot be named in a template: use letters, digits and _, and no digit first'
    )
    assert.strictEqual(refused({ "": "text" })._tag, "TemplateFieldsError")
  })

  it("accepts __proto__ as a key", () => {
    const fields = Result.getOrThrow(TemplateFields.make(JSON.parse('{"__proto__":"text"}') as { a: "text" }))
    assert.isTrue(Object.hasOwn(fields, "__proto__"))
    assert.strictEqual(Object.getPrototypeOf(fields), Object.prototype)
  })
})
