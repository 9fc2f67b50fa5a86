// Reads the command lines of the tests' own tools, such as `npm start` and `npm run bench`: an unknown option, one that is
// given twice, or one without its value is refused in a sentence that points to --help.
import { type ParseArgsConfig, parseArgs } from "node:util";

/** A command line that is refused; the message is one or two sentences. */
export class UsageError extends Error {}

type Streams = Record<"stdout" | "stderr", { write(text: string): unknown }>;

/** Does in this process what a command does in its own, which is quicker. */
export async function inThisProcess(main: (args: string[], streams: Streams) => Promise<number>, args: string[]) {
    const [out, err]: [string[], string[]] = [[], []];
    const into = (texts: string[]) => ({ write: (text: string) => texts.push(text) });
    const status = await main(args, { stdout: into(out), stderr: into(err) });
    return { status, out: out.join(""), err: err.join("") };
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * Reads a command line without positional arguments.
 *
 * @param options as `util.parseArgs` takes them; only those with `multiple` may be repeated
 * @throws UsageError
 */
export function readCommandLine<T extends Options>(args: string[], options: T) {
    try {
        const { values, tokens } = parseArgs({ args, options, tokens: true });
        const names = tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
        const repeated = names.find((name, index) => !options[name]?.multiple && names.indexOf(name) < index);
        if (repeated) {
            throw new Error(`Option '--${repeated}' is given twice.`);
        }
        return values;
    } catch (error) {
        const [firstSentence] = (error as Error).message.split(/\.?\s*(?:\n|\. |$)/);
        throw new UsageError(`${firstSentence}. See --help.`);
    }
}
