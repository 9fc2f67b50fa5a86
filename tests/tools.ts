// What some tests need beside Node.js and the packages from npm.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const installation = {
    moto_server: "pip install 'moto[server]'",
    php: "apt-get install php-cli",
    python3: "apt-get install python3",
    shellcheck: "apt-get install shellcheck",
    dash: "apt-get install dash",
    bash: "apt-get install bash",
    busybox: "apt-get install busybox",
    crontab: "apt-get install cron",
};

export type Tool = keyof typeof installation;

export const tools = Object.keys(installation) as Tool[];

const missing = tools.filter((tool) => !process.env.PATH?.split(delimiter).some((folder) => isProgram(folder, tool)));
const named = new Set<Tool>();

function isProgram(folder: string, tool: Tool): boolean {
    try {
        accessSync(join(folder, tool), constants.X_OK);
        return true;
    } catch {
        return false;
    }
}

/** Declares tests that need a tool. Where it is missing, one pending test says so, for all of them in a run. */
export function withTool(tool: Tool, declare: () => void): void {
    if (!missing.includes(tool)) {
        declare();
    } else if (!process.env.MOCHA_WORKER_ID) {
        nameMissing(tool); // in parallel mode tools.test.ts does so
    }
}

/** Declares the pending test of a tool that is missing. */
export function nameMissing(tool: Tool): void {
    if (missing.includes(tool) && !named.has(tool)) {
        named.add(tool);
        it(`${tool} is missing: ${installation[tool]}`);
    }
}
