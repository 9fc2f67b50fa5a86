// Runs the commands of this project in the tests' own process.
type Streams = Record<"stdout" | "stderr", { write(text: string): unknown }>;

/** Does in this process what a command does in its own, which is quicker. */
export async function inThisProcess(main: (args: string[], streams: Streams) => Promise<number>, args: string[]) {
    const [out, err]: [string[], string[]] = [[], []];
    const into = (texts: string[]) => ({ write: (text: string) => texts.push(text) });
    const status = await main(args, { stdout: into(out), stderr: into(err) });
    return { status, out: out.join(""), err: err.join("") };
}
