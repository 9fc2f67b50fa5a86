// Runs `npm start` as a process of its own, for tests.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "./stack/program";

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [command, ...script] = scripts.start.split(" ");

/** Runs `npm start` with arguments, without a home and without AWS's and Pulumi's variables. */
export function start(...args: string[]) {
    expect(command).to.equal("node");
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(AWS|PULUMI)_/.test(key)));
    // Memory is freed early: all tests together are to do with little.
    const flags = ["--max-old-space-size=120", "--max-semi-space-size=4"];
    const options = { cwd: root, env: { ...env, HOME: "/nonexistent" }, encoding: "utf8" } as const;
    const { status, stdout: out, stderr: err } = spawnSync(process.execPath, [...flags, ...script, ...args], options);
    return { status, out, err };
}
