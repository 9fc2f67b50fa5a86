// Runs `npm start` as a process of its own, for tests.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { root } from "./stack/program";

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [command, ...script] = scripts.start.split(" ");

/** Runs `npm start` with arguments, without a home and without AWS's and Pulumi's variables. */
export async function start(...args: string[]): Promise<{ status: number; out: string; err: string }> {
    expect(command).to.equal("node");
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(AWS|PULUMI)_/.test(key)));
    // Memory is freed early: all tests together are to do with little.
    const flags = ["--max-old-space-size=120", "--max-semi-space-size=4"];
    const options = { cwd: root, env: { ...env, HOME: "/nonexistent" } };
    const child = spawn(process.execPath, [...flags, ...script, ...args], options);
    const closed = new Promise<number>((resolve) => child.on("close", resolve));
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { status, out, err };
}
