// What commands on the operator's machine share: their options, the region, and what to do if AWS can't be reached.
import { type ParseArgsConfig, parseArgs } from "node:util";

type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

/**
 * Reads a command line.
 *
 * @param options as `parseArgs` takes them; only those with `multiple` may be repeated
 * @throws an error of one sentence that names what is not allowed
 */
export function parseOptions<T extends OptionsConfig>(args: string[], options: T) {
    try {
        const { values, tokens } = parseArgs({ args, options, tokens: true });
        const names = tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
        const repeated = names.find((name, index) => names.indexOf(name) < index && !options[name]?.multiple);
        if (repeated) {
            throw new Error(`Option '--${repeated}' is given twice.`);
        }
        return values;
    } catch (error) {
        const [firstSentence] = (error as Error).message.split(/\.?\s*(?:\n|\. |$)/);
        throw new Error(`${firstSentence}. See --help.`);
    }
}

/** Has the SDK take the region and profile that a command or a stack names, or else those that the AWS CLI would take. */
export function prepareSdk(region: string | undefined, profile?: string): void {
    // Which Node.js a later SDK will need is the lockfile's business, not the operator's.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
    const chosen = region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
    if (chosen) {
        process.env.AWS_REGION = chosen;
    }
    if (profile) {
        process.env.AWS_PROFILE = profile;
    }
}

/** What an error says, with what to do where the cause is known: the region, credentials, a proxy. */
export function explained(error: unknown): string {
    const { name, message } = error as Error;
    const [first] = message.split("\n");
    const [, cure] = cures.find(([when]) => when.test(`${name}: ${message}`)) ?? [];
    const proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].find((key) => process.env[key]);
    if (proxy && /no answer in time|TimeoutError|ENOTFOUND|EAI_AGAIN|ECONN|ENETUNREACH|EHOSTUNREACH/.test(message)) {
        return `${first}. ${proxy} is set, which the AWS SDK ignores: use a machine without a proxy, such as AWS CloudShell.`;
    }
    return cure ? `${first?.replace(/\.$/, "")}. ${cure}` : `${first}`;
}

/** Rows of cells as lines, with columns as wide as their widest cell. */
export function aligned(rows: string[][]): string[] {
    const widthOf = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
    const cells = rows.map((row) => row.map((cell, column) => cell.padEnd(widthOf(column))));
    return cells.map((row) => row.join("  ").trimEnd());
}

const exportCredentials = 'eval "$(aws configure export-credentials --format env)" && unset AWS_PROFILE';

const cures: [when: RegExp, cure: string][] = [
    [/Region is missing/, "Give --region, or set AWS_REGION, or aws:region of the stack."],
    [/multi-?factor|MFA/i, `The SDK can't ask for the code; let the AWS CLI do it first: ${exportCredentials}`],
    [
        /ExpiredToken|RequestExpired|token.* expired|session.* (expired|invalid)/i,
        "Get new credentials, for instance with aws sso login.",
    ],
    [
        /CredentialsProviderError/,
        `Set AWS_PROFILE, or sign in. What the AWS CLI finds can be handed on: ${exportCredentials}`,
    ],
    [
        /AuthFailure|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch/,
        "AWS does not accept these credentials: check them with aws sts get-caller-identity.",
    ],
];
