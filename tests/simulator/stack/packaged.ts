import Module from "node:module";
import { join } from "node:path";
import type { createHandler } from "../../../election";
import { type Program, root } from "./program";

export type Handler = ReturnType<typeof createHandler>;

interface CompilableModule {
    _compile(text: string, filename: string): void;
    paths: string[];
    exports: { handler: Handler };
}

/** Starts a container: loads the text that would be deployed, as the Lambda runtime does, with the SDK of this project. */
export function startContainer({ functionText }: Pick<Program, "functionText">): Handler {
    if (process.env.COVERAGE) {
        return startFromSource(functionText);
    }
    const file = join(root, "__index.js");
    const container = new Module(file) as unknown as CompilableModule;
    container.paths = [join(root, "node_modules")];
    container._compile(functionText, file);
    return container.exports.handler;
}

/** To see which lines are reached, they must run as they are written; the text only says for which scope. */
function startFromSource(functionText: string): Handler {
    const [, scope] = functionText.match(/^var __scope = (\{.*\});$/m) ?? [];
    return require("../../election").createHandler(new Function(`return ${scope}`)());
}

/** A batch as the event source mapping hands it to the function. */
export function batchOf(...events: unknown[]): { Records: { body: string }[] } {
    return { Records: events.map((event) => ({ body: JSON.stringify(event) })) };
}
