// What some tests need beside Node.js and the packages from npm.
import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { canRunSystemd } from "./instance/systemd";

const installation = {
    moto_server: "pip install 'moto[server]'",
    php: "apt-get install php-cli",
    python3: "apt-get install python3",
    shellcheck: "apt-get install shellcheck",
    dash: "apt-get install dash",
    bash: "apt-get install bash",
    busybox: "apt-get install busybox",
    crontab: "apt-get install cron",
    curl: "apt-get install curl",
    timeout: "apt-get install coreutils",
    setsid: "apt-get install util-linux",
    unshare: "apt-get install util-linux, and be allowed a PID namespace",
    systemd: "apt-get install systemd, and be root",
};

export type Tool = keyof typeof installation;

export const tools = Object.keys(installation) as Tool[];

/** Whether what a tool does can be had: some need rights. */
const works: { [tool in Tool]?: () => boolean } = {
    unshare: () => spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0,
    systemd: canRunSystemd,
};
const missing: { [tool in Tool]?: boolean } = {};
const named = new Set<Tool>();

/** Where a program is, if it is installed. */
export function find(program: string): string | undefined {
    const paths = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
    return paths.find((path) => {
        try {
            accessSync(path, constants.X_OK);
            return statSync(path).isFile();
        } catch {
            return false;
        }
    });
}

function isMissing(tool: Tool): boolean {
    missing[tool] ??= !(works[tool]?.() ?? find(tool));
    return missing[tool];
}

/** Declares tests that need tools. For each that is missing one pending test says so, for all of them in a run. */
export function withTool(needed: Tool | Tool[], declare: () => void): void {
    const lacking = [needed].flat().filter(isMissing);
    if (lacking.length === 0) {
        declare();
    } else if (!process.env.MOCHA_WORKER_ID) {
        lacking.forEach(nameMissing); // in parallel mode tools.test.ts does so
    }
}

/** Declares the pending test of a tool that is missing. */
export function nameMissing(tool: Tool): void {
    if (isMissing(tool) && !named.has(tool)) {
        named.add(tool);
        it(`${tool} is missing: ${installation[tool]}`);
    }
}
