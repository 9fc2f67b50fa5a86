// Packages from the npm registry beside the project's own, for the long proof: other SDKs and other releases of Node.js.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { newFolder } from "../simulator/folder";

/**
 * Installs packages into a new folder, without their install scripts.
 *
 * @param packages as npm takes them: name@version
 * @returns the folder that has them in node_modules; it is removed when this process ends
 * @throws with npm's output, if it fails
 */
export async function install(...packages: string[]): Promise<string> {
    const folder = newFolder();
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
    await promisify(execFile)("npm", ["install", ...options, ...packages], { cwd: folder });
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
