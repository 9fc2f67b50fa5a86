import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import type { createHandler } from "../../../election";
import type { Scope } from "../../../election/scope";
import { type Program, root } from "./program";

export type Handler = ReturnType<typeof createHandler>;

/** A module's text as Node.js wraps it: run once for each container. */
type Wrapper = (exports: object, require: NodeJS.Require) => void;

const file = join(root, "__index.js");
const requireFromRoot = createRequire(file);
const compiled = new Map<string, Wrapper>();

/** Starts a container: loads the text that would be deployed, as the Lambda runtime does, with the SDK of this project. */
export function startContainer({ functionText }: Pick<Program, "functionText">): Handler {
    if (process.env.NODE_V8_COVERAGE) {
        // To see which lines are reached, they must run as they are written; the text only says for which scope.
        return require("../../../election").createHandler(scopeIn(functionText));
    }
    // Compiled once for all containers: compiling took longer than most elections.
    const wrapper =
        compiled.get(functionText) ??
        (compileFunction(functionText, ["exports", "require"], { filename: file }) as unknown as Wrapper);
    compiled.set(functionText, wrapper);
    const exports: { handler?: Handler } = {};
    wrapper(exports, requireFromRoot);
    return exports.handler as Handler;
}

/** The scope that a function's text was made with. */
export function scopeIn(functionText: string): Scope {
    const lines = functionText.match(/^(var )?__scope(?!_\d)[\w.]* = .*;$/gm) ?? [];
    return new Function(`${lines.join("\n")} return __scope;`)();
}

/** A batch as the event source mapping hands it to the function. */
export function batchOf(...events: unknown[]): { Records: { body: string }[] } {
    return { Records: events.map((event) => ({ body: JSON.stringify(event) })) };
}
