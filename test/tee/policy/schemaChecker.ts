/** As much of JSON Schema 2020-12 as the policy's schema uses; a keyword that it does not know is an error. */
export function accepts(schema: Readonly<Record<string, unknown>>, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, wanted]) => check(keyword, wanted, value, schema));
}

const expressions = new Map<string, RegExp>();

function matches(pattern: string, value: string): boolean {
  let expression = expressions.get(pattern);
  if (!expression) expressions.set(pattern, (expression = new RegExp(pattern, "u")));
  return expression.test(value);
}

type Schema = Readonly<Record<string, unknown>>;

function check(keyword: string, wanted: unknown, value: unknown, schema: Schema): boolean {
  const fields =
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  switch (keyword) {
    case "$schema":
    case "$id":
    case "title":
    case "description":
    case "default":
      return true;
    case "type":
      return typeOf(value).includes(wanted as string);
    case "const":
      return value === wanted;
    case "enum":
      return (wanted as unknown[]).includes(value);
    case "anyOf":
      return (wanted as Schema[]).some((each) => accepts(each, value));
    case "pattern":
      return typeof value !== "string" || matches(wanted as string, value);
    case "minimum":
      return typeof value !== "number" || value >= (wanted as number);
    case "maximum":
      return typeof value !== "number" || value <= (wanted as number);
    case "items":
      return !Array.isArray(value) || value.every((each) => accepts(wanted as Schema, each));
    case "minItems":
      return !Array.isArray(value) || value.length >= (wanted as number);
    case "maxItems":
      return !Array.isArray(value) || value.length <= (wanted as number);
    case "required":
      return !fields || (wanted as string[]).every((name) => Object.hasOwn(value as object, name));
    case "minProperties":
      return !fields || fields.length >= (wanted as number);
    case "maxProperties":
      return !fields || fields.length <= (wanted as number);
    case "propertyNames":
      return !fields || fields.every(([name]) => accepts(wanted as Schema, name));
    case "properties": {
      const known = wanted as Record<string, Schema>;
      return !fields || fields.every(([name, each]) => !Object.hasOwn(known, name) || accepts(known[name]!, each));
    }
    case "additionalProperties": {
      const known = (schema["properties"] ?? {}) as object;
      const others = fields?.filter(([name]) => !Object.hasOwn(known, name)) ?? [];
      return wanted === false ? others.length === 0 : others.every(([, each]) => accepts(wanted as Schema, each));
    }
    default:
      throw new Error(`the checker does not know ${keyword}`);
  }
}

function typeOf(value: unknown): string[] {
  if (value === null) return ["null"];
  if (Array.isArray(value)) return ["array"];
  if (typeof value === "number") return Number.isInteger(value) ? ["integer", "number"] : ["number"];
  return [typeof value];
}
