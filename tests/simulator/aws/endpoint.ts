import type { Handler } from "../stack/packaged";

export type Reports = Awaited<ReturnType<Handler>>;

/** The environment in which SDK clients speak to an endpoint of our own, with keys that are worth nothing. */
export const environmentFor = (endpoint: string) => ({
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: "testing",
    AWS_SECRET_ACCESS_KEY: "testing",
    AWS_REGION: "us-east-1",
});

/**
 * Makes every SDK client of this process that is made from now on speak to an endpoint of our own.
 *
 * @returns puts the environment back
 */
export function pointSdkAt(endpoint: string): () => void {
    const before = process.env;
    // A profile or another service's endpoint would win over what is set here.
    const others = Object.entries(before).filter(([key]) => !key.startsWith("AWS_"));
    process.env = { ...Object.fromEntries(others), ...environmentFor(endpoint) };
    return () => {
        process.env = before;
    };
}

/**
 * Invokes the function as Lambda does; what it logs is dropped, what it returns or throws is not.
 *
 * @param onError gets what it logs as an error
 */
export async function invoke(
    handler: Handler,
    bodies: string[],
    timeoutSeconds = 10,
    onError: (about: { reason: string }) => void = () => {},
): Promise<Reports> {
    const end = Date.now() + timeoutSeconds * 1000;
    const real = { ...console };
    const write = process.stdout.write;
    Object.assign(console, { debug() {}, info() {}, warn() {}, error: onError });
    process.stdout.write = () => true;
    try {
        const Records = bodies.map((body) => ({ body }));
        return await handler({ Records }, { getRemainingTimeInMillis: () => end - Date.now() });
    } finally {
        process.stdout.write = write;
        Object.assign(console, real);
    }
}
