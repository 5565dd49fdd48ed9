// A Grafana type as JSON holds it: enums as their values, arrays and objects unchangeable.
export type Plain<T> = T extends string
    ? `${T}`
    : T extends number | boolean | null | undefined
      ? T
      : T extends readonly (infer U)[]
        ? readonly Plain<U>[]
        : { readonly [K in keyof T]: Plain<T[K]> };
