// Packages from the npm registry beside the project's own, for the long proof: other SDKs and other releases of Node.js.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/**
 * Installs packages into a new folder, without their install scripts.
 *
 * @param packages as npm takes them: name@version
 * @returns the folder that has them in node_modules; removed by the caller
 * @throws with npm's output, if it fails
 */
export async function install(...packages: string[]): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "npm-"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
    const npm = spawn("npm", ["install", ...options, ...packages], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    const [output, errors, [status]] = await Promise.all([text(npm.stdout), text(npm.stderr), once(npm, "close")]);
    if (status !== 0) {
        throw new Error(`npm install ${packages.join(" ")}: ${output}${errors}`);
    }
    return folder;
}

/** The package with the binary of a release of Node.js for this machine, as npm's package `node` chooses it. */
export function nodePackage(version: string): string {
    const { platform, arch } = process;
    return `node-${platform === "darwin" && arch === "arm64" ? "bin-" : ""}${platform}-${arch}@${version}`;
}

/** Path of the binary in a folder where such a package is installed. */
export function nodeIn(folder: string): string {
    return join(folder, "node_modules", nodePackage("").slice(0, -1), "bin", "node");
}
