/** Version of this package, the same as in both manifests. */
export const version: string = '0.1.0'
